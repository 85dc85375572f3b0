/**
 * Agents that are models, as main serves them to the workers of its process on the control plane's socket: JSON-RPC of A2A 1.0, like any agent, so that the registry moves,
 * calls go all their way and every worker finds every task. Written without the SDK, whose handler copies a whole task for each event.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

import type { AgentConfig } from '../../core/agent.ts';
import { BEHIND, MODEL_AGENTS_URL, writeError } from '../../core/agent-behind.ts';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import { type JsonObject, operationOf } from '../a2a/methods.ts';
import { ProtocolError, rpcError, taskNotFound, tell } from '../a2a/protocol.ts';
import { objectOf } from '../a2a/read.ts';
import { createConversations } from './conversations.ts';
import type { ModelTask } from './task.ts';
import { createTaskBook } from './task-book.ts';
import { type Headers, type ModelAgent, type WorkParts, beginTask, cancelTask, cardOf } from './work.ts';

export interface ModelAgentsParts extends Pick<WorkParts, 'send' | 'socketOf' | 'newId' | 'nowMs'> {
  /** Undefined: there is none of that name. */
  agentOf: (name: string) => AgentConfig | undefined;
  /** Some target of the model may be tried now. */
  isServed: (model: string) => boolean;
}

const PREFIX = `${new URL(MODEL_AGENTS_URL).pathname}/`;
/** Of one message, and of all that are being read. The worker has held each to the operator's own limit. */
const MAX_BODY_BYTES = 32 * 1024 * 1024;
const MAX_READING_BYTES = 2 * MAX_BODY_BYTES;
/** Who leaves so much lying has to take the task up again. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;

/** True: it was one of their paths, and is answered. */
export function createModelAgents(parts: ModelAgentsParts): (request: IncomingMessage, response: ServerResponse) => boolean {
  const { nowMs } = parts;
  const work: WorkParts = {
    ...parts,
    tasks: createTaskBook(nowMs),
    conversations: createConversations(nowMs),
    chats: new WeakMap(),
  };
  const bodyOf = createBodies();
  const serve = async (agent: ModelAgent, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let call: Call | undefined;
    try {
      call = callIn(await bodyOf(request));
      await answer(work, agent, { ...call, headers: request.headers, response });
    } catch (thrown) {
      refuse(response, call?.id, thrown);
    }
  };
  return (request, response) => {
    const path = request.url?.split('?')[0] ?? '';
    if (!path.startsWith(PREFIX)) return false;
    const [name = '', ...below] = path.slice(PREFIX.length).split('/');
    const config = parts.agentOf(name);
    const isCard = below.join('/') === '.well-known/agent-card.json';
    if (config?.model === undefined || (below.length > 0 && !isCard)) send(response, 404, {});
    else if (request.method === 'POST') serve(config as ModelAgent, request, response).catch(() => response.destroy());
    // A look at the agent is one at its model.
    else if (parts.isServed(config.model.name)) send(response, 200, cardOf(config as ModelAgent));
    else send(response, 503, {});
    return true;
  };
}

interface Call {
  id: unknown;
  method: string;
  params: JsonObject;
}

interface Answering extends Call {
  headers: Headers;
  response: ServerResponse;
}

async function answer(work: WorkParts, agent: ModelAgent, { id, method, params, headers, response }: Answering): Promise<void> {
  const whole = (result: JsonObject): void => send(response, 200, { jsonrpc: '2.0', id, result });
  switch (operationOf('1.0', method)) {
    case 'send': {
      const configuration = objectOf(params.configuration) ?? {};
      const waits = configuration.returnImmediately !== true;
      const task = await beginTask(work, agent, { params, headers, waits });
      if (waits) await task.ended;
      return whole({ task: task.shown(countIn(configuration)) });
    }
    case 'stream':
      return follow(await beginTask(work, agent, { params, headers, waits: false }), id, response);
    case 'get':
      return whole(known(work, agent, params).shown(countIn(params)));
    case 'cancel':
      return whole(cancelTask(work, agent, String(params.id)).shown());
    case 'subscribe': {
      const task = known(work, agent, params);
      if (task.state !== 'TASK_STATE_WORKING') throw new ProtocolError(-32004, 'The task has ended: there is nothing to follow');
      return follow(task, id, response);
    }
    case 'extended_card':
      throw new ProtocolError(-32007, 'This agent has no extended card');
    default:
      throw new ProtocolError(-32601, `This agent has no method ${method.slice(0, 64)}`);
  }
}

function known({ tasks }: WorkParts, { name }: ModelAgent, { id }: JsonObject): ModelTask {
  const task = tasks.get(name, String(id));
  if (task === undefined) throw taskNotFound();
  return task;
}

function countIn({ historyLength }: JsonObject): number | undefined {
  return typeof historyLength === 'number' ? historyLength : undefined;
}

/** The task as it stands, then its updates until it ends. Whoever leaves changes nothing of the task. */
function follow(task: ModelTask, id: unknown, response: ServerResponse): void {
  const write = (result: JsonObject): void => {
    response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`);
    if (response.writableLength > MAX_UNREAD_BYTES) response.destroy();
  };
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  write({ task: task.shown() });
  if (task.state !== 'TASK_STATE_WORKING') return void response.end();
  const leave = task.follow(write);
  response.on('close', leave);
  void task.ended.then(() => response.end());
}

/** What the gateway would say is told to the worker, which says it; what the protocol says, in its form. */
function refuse(response: ServerResponse, id: unknown, thrown: unknown): void {
  if (thrown instanceof ProtocolError) {
    return send(response, 200, { jsonrpc: '2.0', id: id ?? null, error: rpcError(tell(thrown), '1.0') });
  }
  const error = toGatewayError(thrown);
  response.setHeader(BEHIND.error, writeError(error));
  send(response, error.status, {});
}

type BodyOf = (request: IncomingMessage) => Promise<string>;

function createBodies(): BodyOf {
  let reading = 0;
  return async (request) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let held = 0;
    let refused: GatewayError | undefined;
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > MAX_BODY_BYTES) refused ??= new GatewayError('body_too_large');
        else if (reading + chunk.length > MAX_READING_BYTES)
          refused ??= new GatewayError('overloaded', { details: { retryAfterS: 1 } });
        // Read to its end all the same: whoever still writes hears no answer.
        if (refused !== undefined) continue;
        held += chunk.length;
        reading += chunk.length;
        chunks.push(chunk);
      }
      if (refused !== undefined) throw refused;
      return Buffer.concat(chunks).toString('utf8');
    } finally {
      reading -= held;
    }
  };
}

/** The worker has read it before. */
function callIn(body: string): Call {
  const { id, method, params } = JSON.parse(body) as JsonObject;
  return { id, method: String(method), params: objectOf(params) ?? {} };
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
