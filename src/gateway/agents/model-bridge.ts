/**
 * Agents as models: `model: "a2a/<agent>"` on chats and messages. The same line as every call to an agent: grants, health, tasks, limits, money. The conversation is kept by
 * `metadata.a2a_context_id` and `metadata.a2a_task_id`, or the headers `x-a2a-context-id` and `x-a2a-task-id`, which answers carry too.
 */
import type { ServerResponse } from 'node:http';

import type { ChatRequest } from '../../core/chat.ts';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import { may } from '../../core/read.ts';
import type { AgentView } from '../../core/agent.ts';
import type { Model } from '../../config/snapshot.ts';
import type { Caller } from '../../core/directory.ts';
import { ProtocolError } from '../../agents/a2a/protocol.ts';
import { refsOf } from '../../agents/a2a/read.ts';
import { mayUseAgent } from '../../policy/authorize.ts';
import { recordBodies } from '../bodies.ts';
import { type ClientBody, parsedBody } from '../body.ts';
import { endUserOf } from '../end-user.ts';
import type { Exchange } from '../exchange.ts';
import { guardBefore, guardsOf } from '../guard.ts';
import type { AgentCall, AgentWork } from './call.ts';
import { callAgent } from './call-agent.ts';
import { lookedAt } from './choose.ts';
import { type Conversation, leftOut, paramsOf } from './model-message.ts';
import { AGENT_MODEL, replyOf } from './model-reply.ts';
import { plainly } from './reach.ts';
import type { AgentSide } from './side.ts';
import { noteState } from './tasks.ts';

/** The agents that a caller may use, as models. */
export function agentModels({ book }: AgentSide, caller: Caller, createdS: number): Model[] {
  const usable = book.list().filter(({ name, config }) => mayUseAgent(caller, { name, tags: config.tags }));
  return usable.map((view) => modelOf(view, createdS));
}

function modelOf({ name }: AgentView, createdS: number): Model {
  return { name: `${AGENT_MODEL}${name}`, targets: [], routing: {} as Model['routing'], createdS };
}

export async function serveAgentModel(exchange: Exchange, asked: ClientBody, response: ServerResponse): Promise<void> {
  const { caller, surface, plane } = exchange;
  const side = plane.agents;
  const { dialect } = surface;
  const named = agentFor(caller!, side, asked.model);
  if (dialect === undefined) {
    const message = `The agent \`${named.name}\` is a model for chats and messages only, not for ${surface.path}`;
    throw new GatewayError('not_supported_here', { details: { message, param: 'model' } });
  }
  recordBodies(exchange, asked.bytes, response);
  const guards = guardsOf(exchange, 'request');
  const body = guards.length === 0 ? asked : await guardBefore(exchange, guards, asked);
  // Whether it streams its card says; and much may have happened to it while guards were asked.
  const view = await lookedAt(side, agentFor(caller!, side, asked.model));
  const parsed = parsedBody(body);
  const request = dialect.request.decode(parsed, plainHeaders(exchange));
  exchange.warnings.push(...leftOut(parsed, request, dialect.id));
  const work: AgentWork = { view, call: callOf(exchange, view, request), verdicts: [] };
  exchange.agentWork = work;
  // As the client says: guards change nothing of what is whose.
  exchange.endUser = endUserOf(exchange, asked);
  const told = (thrown: unknown): GatewayError => failureOf(exchange, work, thrown);
  const reply = replyOf({ exchange, work, response, dialect, request, told });
  try {
    await callAgent({ exchange, response, side }, work, reply.take);
    if (!exchange.gone) await reply.deliver();
    exchange.outcome = exchange.gone ? 'client_gone' : 'ok';
  } catch (thrown) {
    throw told(thrown);
  } finally {
    noteState(exchange, work, side);
  }
}

/** Throws model_not_found. */
function agentFor(caller: Caller, { book }: AgentSide, model: string): AgentView {
  const view = book.get(model.slice(AGENT_MODEL.length));
  if (view === undefined || !mayUseAgent(caller, { name: view.name, tags: view.config.tags })) throw unknown(model);
  return view;
}

function unknown(model: string): GatewayError {
  const message = `The model \`${model.slice(0, 128)}\` does not exist or you do not have access to it.`;
  return new GatewayError('model_not_found', { details: { message, model, param: 'model' } });
}

function callOf(exchange: Exchange, view: AgentView, request: ChatRequest): AgentCall {
  const operation = view.streaming ? 'stream' : 'send';
  const params = paramsOf(request, conversationOf(exchange, request), exchange.id);
  return {
    form: 'rpc',
    version: '1.0',
    operation,
    rpcId: exchange.id,
    params,
    refs: refsOf(operation, params),
    streams: view.streaming,
    bytes: undefined,
  };
}

/** Messages keep members of `metadata` that they do not know among their extras. What is empty names nothing. */
function conversationOf({ request: { headers } }: Exchange, { metadata = {}, extra }: ChatRequest): Conversation {
  const named = (name: string): string | undefined => {
    const header = headers[`x-${name.replaceAll('_', '-')}`];
    const path = `metadata.${name}`;
    return may('string', metadata[name] ?? extra[path], path) || (typeof header === 'string' && header) || undefined;
  };
  const [context, task] = [named('a2a_context_id'), named('a2a_task_id')];
  return { ...(context !== undefined && { context }), ...(task !== undefined && { task }) };
}

/** What has reached the agent is under way there: a client that asks again by itself would have it done twice. What was refused for want of room is not. */
function failureOf(exchange: Exchange, work: AgentWork, failed: unknown): GatewayError {
  const thrown = plainly(failed);
  const error = exchange.cut ?? (thrown instanceof ProtocolError ? asAgentError(exchange, work, thrown) : toGatewayError(thrown));
  const isRefused = error.code === 'upstream_rate_limited' || error.code === 'upstream_overloaded';
  if (exchange.attempts.length === 0 || isRefused || error.details.shouldRetry === false) return error;
  const details = { ...error.details, message: error.message, shouldRetry: false };
  return new GatewayError(error.code, { cause: error, details });
}

/** What the caller named is his: a task that is not there, a message that does not fit. */
const CALLERS = new Set([-32001, -32002, -32004, -32005, -32008, -32600, -32602]);

function asAgentError({ attempts }: Exchange, { view }: AgentWork, { code, message }: ProtocolError): GatewayError {
  const told = message.slice(0, 500);
  const details = {
    message: attempts.length === 0 ? told : `The agent \`${view.name}\` answered with an error (${code}): ${told}`,
  };
  return new GatewayError(CALLERS.has(code) ? 'invalid_request' : 'agent_error', { details });
}

function plainHeaders({ request: { headers } }: Exchange): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  );
}
