/**
 * A call to an agent from its first byte to its fact, in one straight line: authenticate → limits → agent → body → guards → task → health → money → replica → relay or
 * translation → settle. A reader that leaves never cancels the task.
 */
import type { ServerResponse } from 'node:http';

import { isSend } from '../../agents/a2a/methods.ts';
import { ProtocolError } from '../../agents/a2a/protocol.ts';
import type { AgentView } from '../../core/agent.ts';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import type { EdgeRequest } from '../../http/edge.ts';
import { mayUseAgent } from '../../policy/authorize.ts';
import { admitCaller, endAdmission } from '../admit.ts';
import { recordBodies, writeBodies } from '../bodies.ts';
import { endUserOf } from '../end-user.ts';
import { type Exchange, beginExchange, factOf, noteFailure } from '../exchange.ts';
import type { Plane } from '../plane.ts';
import { A2A } from '../surface.ts';
import { callAgent, messageHashOf } from './call-agent.ts';
import { plainly } from './reach.ts';
import { type AgentCall, type AgentWork, type Asked, type CallShape, readRest, readRpc, statedVersion } from './call.ts';
import { lookedAt } from './choose.ts';
import { guardCall, recordable } from './guard-call.ts';
import { sendCard } from './card-route.ts';
import { sendError } from './reply.ts';
import type { AgentSide } from './side.ts';
import { noteState } from './tasks.ts';

interface Serving {
  exchange: Exchange;
  response: ServerResponse;
  side: AgentSide;
  asked: Asked;
  shape: CallShape;
}

export async function serveAgent(
  plane: Plane,
  side: AgentSide,
  { request, response, asked }: { request: EdgeRequest; response: ServerResponse; asked: Asked },
): Promise<void> {
  const exchange = beginExchange(plane, A2A, request);
  const shape: CallShape = {
    form: asked.at === 'rpc' ? 'rpc' : 'rest',
    version: asked.at === 'rest' ? asked.version : '1.0',
    rpcId: null,
    streams: false,
  };
  const serving: Serving = { exchange, response, side, asked, shape };
  request.onGone(() => {
    exchange.gone = true;
    // A whole answer is still read: it may tell of a task that somebody will ask for.
    if (exchange.stream) exchange.abort();
  });
  try {
    await serve(serving);
    if (exchange.failure === undefined) exchange.outcome = exchange.gone ? 'client_gone' : 'ok';
  } catch (thrown) {
    await fail(serving, thrown);
  } finally {
    settleAgent(exchange, side);
  }
}

async function serve(serving: Serving): Promise<void> {
  const { exchange, response, side, asked, shape } = serving;
  const { request, line, plane } = exchange;
  exchange.caller = await line.authenticate(request.headers, plane.nowMs(), request.clientIp);
  await admitCaller(exchange);
  const view = agentOf(exchange, side, asked.agent);
  if (asked.at === 'card') return sendCard(exchange, response, await lookedAt(side, view));
  const bytes = await readBytes(exchange, request);
  const read = (body: Buffer, into: CallShape): AgentCall =>
    asked.at === 'rpc' ? readRpc(body, request, into) : readStated(asked, request, { bytes: body, shape: into });
  const call = read(bytes, shape);
  Object.assign(shape, { streams: call.streams, version: call.version });
  exchange.stream = call.streams;
  exchange.endUser = endUserOf(exchange);
  const recorded = recordable({ bytes, call });
  if (recorded !== undefined) recordBodies(exchange, recorded, response);
  const work: AgentWork = { view, call, verdicts: [] };
  exchange.agentWork = work;
  if (isSend(call.operation)) {
    // As it was sent: what guards make of it may differ each time.
    work.messageHash = messageHashOf(call);
    work.call = await guardCall(exchange, { bytes, call }, (body) => read(body, { ...shape }));
    // Much may have happened to it meanwhile.
    work.view = agentOf(exchange, side, asked.agent);
  }
  await callAgent(serving, work);
}

function readStated(
  asked: Extract<Asked, { at: 'rest' }>,
  request: EdgeRequest,
  { bytes, shape }: { bytes: Buffer; shape: CallShape },
): AgentCall {
  shape.version = statedVersion(request) ?? asked.version;
  return readRest({ ...asked, version: shape.version }, request, bytes);
}

/** The agent, if the caller may use it; what is not there and what is not his look alike. */
function agentOf({ caller }: Exchange, { book }: AgentSide, name: string): AgentView {
  const view = book.get(name);
  if (view !== undefined && mayUseAgent(caller!, { name, tags: view.config.tags })) return view;
  const message = `The agent \`${name.slice(0, 64)}\` does not exist or this key has no access to it`;
  throw new GatewayError('agent_not_found', { details: { message } });
}

const CALL_BYTES = 16 * 1024;

async function readBytes(exchange: Exchange, request: EdgeRequest): Promise<Buffer> {
  if (!request.reserve(CALL_BYTES)) throw new GatewayError('overloaded', { details: { retryAfterS: 1 } });
  const from = performance.now();
  const bytes = request.method === 'GET' || request.method === 'DELETE' ? Buffer.alloc(0) : await request.body();
  exchange.waitedMs += performance.now() - from;
  exchange.requestBytes = bytes.length;
  return bytes;
}

async function fail({ exchange, response, shape }: Serving, failed: unknown): Promise<void> {
  const thrown = plainly(failed);
  const error = thrown instanceof ProtocolError ? thrown : toGatewayError(thrown);
  if (error instanceof ProtocolError) noteProtocolError(exchange, error);
  else noteFailure(exchange, error);
  // The edge logs what is our own fault, and knows whether it may still say so.
  if (error instanceof GatewayError && error.code === 'internal') throw thrown;
  if (error instanceof GatewayError && error.code === 'rate_limited') await exchange.request.dropBody();
  if (response.headersSent || response.destroyed) {
    if (!response.writableEnded) response.destroy();
    return;
  }
  // What was refused must not count against what its client sends next.
  endAdmission(exchange);
  sendError(exchange, response, shape, exchange.cut ?? error);
}

/** An error of the protocol is an answer that was delivered whole; ours, before anybody was asked, is a refusal. */
function noteProtocolError(exchange: Exchange, { code, message }: ProtocolError): void {
  const isOurs = exchange.attempts.length === 0;
  exchange.outcome = isOurs ? 'refused' : 'upstream_error';
  exchange.finish = String(code);
  exchange.failure ??= new GatewayError(isOurs ? 'invalid_request' : 'agent_error', { details: { message } });
}

/** The end, exactly once: the task's state, one fact, one exchange less under way. */
function settleAgent(exchange: Exchange, side: AgentSide): void {
  const { agentWork: work, plane } = exchange;
  try {
    if (work !== undefined) noteState(exchange, work, side);
    writeBodies(exchange);
    plane.record(factOf(exchange));
  } finally {
    endAdmission(exchange);
    plane.ended(exchange);
  }
}
