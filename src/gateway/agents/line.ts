/**
 * A call to an agent from its first byte to its fact, in one straight line: authenticate → limits → agent → body → task → health → money → replica → relay or
 * translation → settle. A reader that leaves never cancels the task.
 */
import type { ServerResponse } from 'node:http';

import { isSend } from '../../agents/a2a/methods.ts';
import { ProtocolError } from '../../agents/a2a/protocol.ts';
import type { AgentView } from '../../core/agent.ts';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import type { EdgeRequest } from '../../http/edge.ts';
import { mayUseAgent } from '../../policy/authorize.ts';
import { hashText } from '../../routing/hash.ts';
import { admitAgent, admitCaller, endAdmission, releaseLeases } from '../admit.ts';
import { type Exchange, beginExchange, factOf, noteFailure } from '../exchange.ts';
import type { Plane } from '../plane.ts';
import { refuseWhileStoreIsBehind } from '../store-behind.ts';
import { A2A } from '../surface.ts';
import { answerCall } from './answer.ts';
import { type AgentWork, type Asked, type CallShape, readRest, readRpc, statedVersion } from './call.ts';
import { sendCard } from './card-route.ts';
import { sendError } from './reply.ts';
import { requireFits } from './requirements.ts';
import type { AgentSide } from './side.ts';
import { type AgentSpend, endCall, reserveCall } from './spend.ts';
import { noteState, ownerOfCaller, taskOf, taskOfContext } from './tasks.ts';

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
  if (asked.at === 'card') return sendCard(exchange, response, view);
  const stated = statedVersion(request);
  if (stated !== undefined) shape.version = stated;
  const bytes = await readBytes(exchange, request);
  const call =
    asked.at === 'rpc' ? readRpc(bytes, stated, shape) : readRest({ ...asked, version: shape.version }, request, bytes);
  Object.assign(shape, { streams: call.streams, version: call.version });
  exchange.stream = call.streams;
  const header = line.snapshot.endUsers.header;
  const endUser = header === undefined ? undefined : request.headers[header];
  if (typeof endUser === 'string') exchange.endUser = endUser.slice(0, 128);
  const work: AgentWork = { view, call, verdicts: [] };
  exchange.agentWork = work;
  await callAgent(serving, work);
}

async function callAgent({ exchange, response, side }: Serving, work: AgentWork): Promise<void> {
  const { call, view } = work;
  requireFits(call, view);
  const record = await recordOf(exchange, side, work);
  if (record !== undefined) work.record = record;
  await admitAgent(exchange, view.config.rules === undefined ? [] : [view.config.rules]);
  refuseWhileStoreIsBehind(exchange);
  const baggage = side.hopsOf(exchange.line.snapshot.pepper).enter(textOf(exchange.request.headers.baggage), view.name);
  if (isSend(call.operation)) work.messageHash = hashText(JSON.stringify(call.params.message ?? call.params.request ?? null));
  const spend = isSend(call.operation) ? await reserveCall(exchange, work) : undefined;
  const finish = (): void => finishCall(exchange, work, spend);
  try {
    await answerCall({ exchange, response, side, work, baggage, finish });
    finish();
  } catch (thrown) {
    // An error is an answer too, but nobody pays for it.
    if (thrown instanceof ProtocolError) work.answered = true;
    if (spend !== undefined) endCall(exchange, spend, work.taskState === undefined ? 0 : spend.nanoUsd);
    throw thrown;
  } finally {
    if (spend !== undefined) endCall(exchange, spend, 0);
  }
}

/** A send that was answered with a result costs what it costs. */
function finishCall(exchange: Exchange, work: AgentWork, spend: AgentSpend | undefined): void {
  if (spend !== undefined && work.answered === true) endCall(exchange, spend, spend.nanoUsd);
  releaseLeases(exchange);
}

/** The agent, if the caller may use it; what is not there and what is not his look alike. */
function agentOf({ caller }: Exchange, { book }: AgentSide, name: string): AgentView {
  const view = book.get(name);
  if (view !== undefined && mayUseAgent(caller!, { name, tags: view.config.tags })) return view;
  const message = `The agent \`${name.slice(0, 64)}\` does not exist or this key has no access to it`;
  throw new GatewayError('agent_not_found', { details: { message } });
}

/** Where the call's task or context lives. Throws -32001 where it is somebody else's, or where a task is nobody's. */
async function recordOf(exchange: Exchange, side: AgentSide, { view, call }: AgentWork): Promise<AgentWork['record']> {
  const { task, context } = call.refs;
  const who = ownerOfCaller(exchange.caller!, exchange.endUser);
  if (task !== undefined) {
    const record = await taskOf(side, view, task, who);
    if (record === undefined && view.config.taskScope !== 'agent') throw new ProtocolError(-32001, 'Task not found');
    return record;
  }
  return context === undefined ? undefined : taskOfContext(side, view, context, who);
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

async function fail({ exchange, response, shape }: Serving, thrown: unknown): Promise<void> {
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
  sendError(exchange, response, shape, exchange.cut ?? error);
}

/** An error of the protocol is an answer that was delivered whole; ours, before anybody was asked, is a refusal. */
function noteProtocolError(exchange: Exchange, { code, message }: ProtocolError): void {
  exchange.outcome = exchange.attempts.length === 0 ? 'refused' : 'upstream_error';
  exchange.finish = String(code);
  exchange.failure ??= new GatewayError('agent_error', { details: { message } });
}

/** The end, exactly once: the task's state, one fact, one exchange less under way. */
function settleAgent(exchange: Exchange, side: AgentSide): void {
  const { agentWork: work, plane } = exchange;
  try {
    if (work !== undefined) noteState(exchange, work, side);
    plane.record(factOf(exchange));
  } finally {
    endAdmission(exchange);
    plane.ended(exchange);
  }
}

function textOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(',') : value;
}
