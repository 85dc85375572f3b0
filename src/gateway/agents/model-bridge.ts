/**
 * Agents as models: `model: "a2a/<agent>"` on chats and messages. The same line as every call to an agent: grants, health, tasks, limits, money. The conversation is kept by
 * `metadata.a2a_context_id` and `metadata.a2a_task_id`, or the headers `x-a2a-context-id` and `x-a2a-task-id`, which answers carry too.
 */
import type { ServerResponse } from 'node:http';

import type { ChatRequest, ChatResponse } from '../../core/chat.ts';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import type { StreamPart } from '../../core/parts.ts';
import { type AgentView, isConversation } from '../../core/agent.ts';
import type { Dialect, ReplyContext } from '../../dialects/dialect.ts';
import type { Model } from '../../config/snapshot.ts';
import type { Caller } from '../../core/directory.ts';
import { ProtocolError } from '../../agents/a2a/protocol.ts';
import { refsOf } from '../../agents/a2a/read.ts';
import { sendJson } from '../../http/reply.ts';
import { mayUseAgent } from '../../policy/authorize.ts';
import { type ClientBody, parsedBody } from '../body.ts';
import { endAdmission } from '../admit.ts';
import { endUserOf } from '../end-user.ts';
import type { Exchange } from '../exchange.ts';
import { exchangeHeaders } from '../reply-headers.ts';
import type { AgentCall, AgentWork } from './call.ts';
import { callAgent } from './call-agent.ts';
import { lookedAt } from './choose.ts';
import { type AgentAnswer, type Conversation, createAgentAnswer, paramsOf } from './model-message.ts';
import { type EventWriter, openEvents } from './reply.ts';
import type { AgentSide } from './side.ts';
import { noteState } from './tasks.ts';

export const AGENT_MODEL = 'a2a/';

/** The agents that a caller may use, as models. */
export function agentModels({ book }: AgentSide, caller: Caller, createdS: number): Model[] {
  const usable = book.list().filter(({ name, config }) => mayUseAgent(caller, { name, tags: config.tags }));
  return usable.map((view) => modelOf(view, createdS));
}

function modelOf({ name }: AgentView, createdS: number): Model {
  return { name: `${AGENT_MODEL}${name}`, targets: [], routing: {} as Model['routing'], createdS };
}

export async function serveAgentModel(exchange: Exchange, body: ClientBody, response: ServerResponse): Promise<void> {
  const { caller, surface, plane } = exchange;
  const side = plane.agents;
  const { dialect } = surface;
  const named = side.book.get(body.model.slice(AGENT_MODEL.length));
  if (named === undefined || !mayUseAgent(caller!, { name: named.name, tags: named.config.tags })) throw unknown(body.model);
  // Whether it streams its card says.
  const view = await lookedAt(side, named);
  if (dialect === undefined) {
    const message = `The agent \`${view.name}\` is a model for chats and messages only, not for ${surface.path}`;
    throw new GatewayError('not_supported_here', { details: { message, param: 'model' } });
  }
  const request = dialect.request.decode(parsedBody(body), plainHeaders(exchange));
  if (request.tools.length > 0) exchange.warnings.push({ param: 'tools', reason: 'an agent chooses its own' });
  const work: AgentWork = { view, call: callOf(exchange, view, request), verdicts: [] };
  exchange.agentWork = work;
  exchange.endUser = endUserOf(exchange, body);
  const answer = createAgentAnswer();
  const reply = exchange.stream
    ? streamed({ exchange, work, response, dialect, request })
    : whole({ exchange, work, response, dialect, request });
  try {
    await callAgent({ exchange, response, side }, work, (events) => reply(events, answer));
    exchange.outcome = exchange.gone ? 'client_gone' : 'ok';
  } catch (thrown) {
    throw thrown instanceof ProtocolError ? asAgentError(thrown, view) : thrown;
  } finally {
    noteState(exchange, work, side);
  }
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

function conversationOf({ request: { headers } }: Exchange, { metadata = {} }: ChatRequest): Conversation {
  const named = (name: string): string | undefined => {
    const header = headers[`x-${name.replaceAll('_', '-')}`];
    return metadata[name] ?? (typeof header === 'string' ? header : undefined);
  };
  const [context, task] = [named('a2a_context_id'), named('a2a_task_id')];
  return { ...(context !== undefined && { context }), ...(task !== undefined && { task }) };
}

interface Replying {
  exchange: Exchange;
  work: AgentWork;
  response: ServerResponse;
  dialect: Dialect;
  request: ChatRequest;
}

type Reply = (events: AsyncIterable<unknown>, answer: AgentAnswer) => Promise<void>;

/** The text of all artifacts, and what it asks. */
function whole({ exchange, work, response, dialect, request }: Replying): Reply {
  return async (events, answer) => {
    let text = '';
    for await (const event of events) text += answer.take(event);
    requireAnswered(answer, work);
    text += answer.rest();
    const told: ChatResponse = {
      ...idsOf(exchange, work),
      choices: [{ index: 0, content: [{ type: 'text', text }], finish: 'stop' }],
    };
    const encoded = dialect.response.encode(told, contextOf(exchange, request), (warning) => exchange.warnings.push(warning));
    const bytes = Buffer.from(JSON.stringify(encoded));
    Object.assign(exchange, { status: 200, responseBytes: bytes.length, firstByteAt: performance.now(), finish: 'stop' });
    endAdmission(exchange);
    sendJson(response, 200, { ...exchangeHeaders(exchange), ...taskHeaders(work, answer) }, bytes);
  };
}

/** Artifacts as they come. */
function streamed({ exchange, work, response, dialect, request }: Replying): Reply {
  return async (events, answer) => {
    const encoder = dialect.stream.encoder(contextOf(exchange, request), (warning) => exchange.warnings.push(warning));
    let writer: EventWriter | undefined;
    const write = async (parts: readonly StreamPart[]): Promise<boolean> => {
      if (writer === undefined)
        for (const [name, value] of Object.entries(taskHeaders(work, answer))) response.setHeader(name, value);
      writer ??= openEvents(exchange, response, exchange.plane.wheel);
      const text = parts.map((part) => encoder.encode(part)).join('');
      return text === '' || writer.write(text);
    };
    const say = async (text: string): Promise<boolean> => {
      if (text === '') return true;
      const opening: StreamPart[] = writer === undefined ? openingOf(exchange, work) : [];
      return write([...opening, { type: 'text_delta', block: 0, text }]);
    };
    try {
      for await (const event of events) if (!(await say(answer.take(event)))) return;
      requireAnswered(answer, work);
      await say(answer.rest());
      exchange.finish = 'stop';
      const opening: StreamPart[] = writer === undefined ? openingOf(exchange, work) : [];
      await write([...opening, { type: 'text_end', block: 0 }, { type: 'finish', choice: 0, reason: 'stop' }, { type: 'end' }]);
    } catch (thrown) {
      if (writer === undefined) throw thrown;
      const error = exchange.cut ?? (thrown instanceof ProtocolError ? asAgentError(thrown, work.view) : toGatewayError(thrown));
      exchange.failure ??= error;
      await writer.write(encoder.fail(error));
    } finally {
      writer?.end();
    }
  };
}

function openingOf(exchange: Exchange, work: AgentWork): StreamPart[] {
  return [
    { type: 'start', ...idsOf(exchange, work) },
    { type: 'text_start', block: 0, choice: 0 },
  ];
}

function idsOf({ id, plane, surface }: Exchange, { view }: AgentWork): Pick<ChatResponse, 'id' | 'model' | 'createdS'> {
  const prefix = surface.errorKind === 'anthropic' ? 'msg_' : 'chatcmpl-';
  return {
    id: `${prefix}${id.replace(/^ex_/, '')}`,
    model: `${AGENT_MODEL}${view.name}`,
    createdS: Math.floor(plane.nowMs() / 1000),
  };
}

/** Where the client goes on with the conversation. */
function taskHeaders({ task, context }: AgentWork, { state }: AgentAnswer): Record<string, string> {
  return {
    ...(context !== undefined && visible('x-a2a-context-id', context)),
    ...(task !== undefined && !isConversation(task) && visible('x-a2a-task-id', task)),
    ...(state !== undefined && { 'x-a2a-task-state': state }),
  };
}

/** Ids are the agent's to choose; one that is no header stays unsaid. */
function visible(name: string, value: string): Record<string, string> {
  return /^[\x21-\x7e]+$/.test(value) ? { [name]: value } : {};
}

/** A task that came to nothing is no answer. */
function requireAnswered({ state, statusText }: AgentAnswer, { view }: AgentWork): void {
  if (state === undefined || !['failed', 'rejected', 'canceled'].includes(state)) return;
  const said = statusText === '' ? '' : `: ${statusText.slice(0, 500)}`;
  throw new GatewayError('agent_error', {
    details: { message: `The agent \`${view.name}\` has ${state === 'canceled' ? 'cancelled' : state} the task${said}` },
  });
}

function asAgentError({ code, message }: ProtocolError, { name }: AgentView): GatewayError {
  const details = { message: `The agent \`${name}\` answered with an error (${code}): ${message.slice(0, 500)}` };
  // What the caller named is his: a task that is not there, a message that does not fit.
  return new GatewayError(code === -32603 || code === -32006 ? 'agent_error' : 'invalid_request', { details });
}

function contextOf({ request, plane }: Exchange, { includeUsage }: ChatRequest): ReplyContext {
  return { requestId: request.id, nowS: Math.floor(plane.nowMs() / 1000), includeUsage };
}

function plainHeaders({ request: { headers } }: Exchange): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  );
}
