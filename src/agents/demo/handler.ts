/**
 * The demo agents over HTTP: JSON-RPC of A2A 1.0 on the control plane's socket, built with the SDK like any other agent, so that the registry moves and calls go all their
 * way without an account. Their cards need no SDK; it is loaded by the first call.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Task, TaskState } from '@a2a-js/sdk';
import type { AgentExecutor, TaskStore } from '@a2a-js/sdk/server';

import { createLru } from '../../lib/lru.ts';
import { DEMO_AGENTS, type DemoAgent } from './scripts.ts';

export interface DemoAgentsParts {
  /** `http://demo.invalid/demo/agents`: where they are for whoever may reach them. */
  baseUrl: string;
  newId: () => string;
  /** Between two words. */
  wordMs?: number;
}

const PREFIX = '/demo/agents/';
const MAX_BODY_BYTES = 1024 * 1024;
const WORD_MS = 15;
/** Of each agent; the oldest are forgotten. */
const MAX_TASKS = 1_000;

/** True: it was one of their paths, and is answered. */
export function createDemoAgents(parts: DemoAgentsParts): (request: IncomingMessage, response: ServerResponse) => boolean {
  const served = new Map(DEMO_AGENTS.map((agent) => [agent.name, createServed(agent, parts)]));
  return (request, response) => {
    const path = request.url?.split('?')[0] ?? '';
    if (!path.startsWith(PREFIX)) return false;
    const [name = '', ...below] = path.slice(PREFIX.length).split('/');
    const agent = served.get(name);
    if (agent === undefined) answer(response, 404, {});
    else if (below.join('/') === '.well-known/agent-card.json') answer(response, 200, agent.card);
    else if (request.method !== 'POST' || below.join('') !== '') answer(response, 404, {});
    else agent.call(request, response).catch(() => response.destroy());
    return true;
  };
}

interface Served {
  card: object;
  call: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

function createServed(agent: DemoAgent, parts: DemoAgentsParts): Served {
  const card = cardOf(agent, parts.baseUrl);
  let handling: ReturnType<typeof handlerOf> | undefined;
  return {
    card,
    async call(request, response) {
      handling ??= handlerOf(agent, card, parts);
      const { handler, context, errorOf } = await handling;
      const body = await bodyOf(request);
      const result = await handler.handle(body, context());
      if (!(Symbol.asyncIterator in result)) return answer(response, 200, result);
      const { id } = JSON.parse(body) as { id: unknown };
      await writeEvents(response, result, (thrown) => ({ jsonrpc: '2.0', id, error: errorOf(thrown) }));
    },
  };
}

async function writeEvents(response: ServerResponse, events: AsyncIterable<object>, failed: (thrown: unknown) => object) {
  const write = (event: object): void => {
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`data: ${JSON.stringify(event)}\n\n`);
  };
  try {
    for await (const event of events) write(event);
  } catch (thrown) {
    write(failed(thrown));
  }
  response.end();
}

function cardOf({ name, description, skill }: DemoAgent, baseUrl: string) {
  return {
    name,
    description,
    version: '1.0.0',
    supportedInterfaces: [{ url: `${baseUrl}/${name}`, protocolBinding: 'JSONRPC', protocolVersion: '1.0', tenant: '' }],
    provider: undefined,
    capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: false, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [{ ...skill, inputModes: [], outputModes: [], securityRequirements: [] }],
    signatures: [],
  };
}

type Card = ReturnType<typeof cardOf>;

async function handlerOf(agent: DemoAgent, card: Card, parts: DemoAgentsParts) {
  const sdk = await import('@a2a-js/sdk/server');
  const requests = new sdk.DefaultRequestHandler(card, createTaskStore(), await executorOf(agent, parts));
  return {
    handler: new sdk.JsonRpcTransportHandler(requests),
    context: () => new sdk.ServerCallContext({ requestedVersion: '1.0' }),
    errorOf: (thrown: unknown) => sdk.JsonRpcTransportHandler.mapToJSONRPCError(thrown),
  };
}

type Bus = Parameters<AgentExecutor['execute']>[1];

/** What a task tells of itself: the state it is in, and the next piece of its answer. */
async function tellerOf(newId: () => string) {
  const { Role } = await import('@a2a-js/sdk');
  const { AgentEvent } = await import('@a2a-js/sdk/server');
  return (bus: Bus, ids: { taskId: string; contextId: string }) => ({
    state: (state: TaskState, text?: string) =>
      bus.publish(
        AgentEvent.statusUpdate({
          ...ids,
          status: {
            state,
            message: text === undefined ? undefined : { ...messageOf(text), ...ids, messageId: newId(), role: Role.ROLE_AGENT },
            timestamp: new Date().toISOString(),
          },
          metadata: undefined,
        }),
      ),
    piece: (artifactId: string, text: string, index: number) =>
      bus.publish(
        AgentEvent.artifactUpdate({
          ...ids,
          artifact: { artifactId, name: 'answer', description: '', parts: partsOf(text), metadata: undefined, extensions: [] },
          append: index > 0,
          lastChunk: false,
          metadata: undefined,
        }),
      ),
  });
}

/** Runs a script as a task: submitted, at work, the answer piece by piece, and how it ended. */
async function executorOf(agent: DemoAgent, { newId, wordMs = WORD_MS }: DemoAgentsParts): Promise<AgentExecutor> {
  const { TaskState } = await import('@a2a-js/sdk');
  const { AgentEvent } = await import('@a2a-js/sdk/server');
  const cancelled = createLru<string, true>(MAX_TASKS);
  const asked = createLru<string, string[]>(MAX_TASKS);
  const tellOn = await tellerOf(newId);
  return {
    async execute({ taskId, contextId, userMessage, task }, bus) {
      const ids = { taskId, contextId };
      const said = [...(asked.get(taskId) ?? []), textOf(userMessage)];
      asked.set(taskId, said);
      bus.publish(
        AgentEvent.task(
          task ?? {
            id: taskId,
            contextId,
            status: { state: TaskState.TASK_STATE_SUBMITTED, message: undefined, timestamp: new Date().toISOString() },
            artifacts: [],
            history: [userMessage],
            metadata: undefined,
          },
        ),
      );
      const tell = tellOn(bus, ids);
      tell.state(TaskState.TASK_STATE_WORKING);
      const artifactId = newId();
      let index = 0;
      for (const step of agent.run(said)) {
        if (cancelled.get(taskId) === true) return;
        if ('ask' in step) return tell.state(TaskState.TASK_STATE_INPUT_REQUIRED, step.ask);
        tell.piece(artifactId, step.say, index++);
        await sleep(wordMs);
      }
      if (cancelled.get(taskId) !== true) tell.state(TaskState.TASK_STATE_COMPLETED);
    },
    async cancelTask(taskId, bus) {
      cancelled.set(taskId, true);
      tellOn(bus, { taskId, contextId: '' }).state(TaskState.TASK_STATE_CANCELED);
      await Promise.resolve();
    },
  };
}

type UserMessage = Parameters<AgentExecutor['execute']>[0]['userMessage'];

function textOf({ parts }: UserMessage): string {
  return parts.map(({ content }) => (content?.$case === 'text' ? content.value : '')).join(' ');
}

function partsOf(text: string) {
  return [{ content: { $case: 'text' as const, value: text }, metadata: undefined, filename: '', mediaType: 'text/plain' }];
}

function messageOf(text: string) {
  return { parts: partsOf(text), metadata: undefined, extensions: [], referenceTaskIds: [] };
}

/** Everybody's: who may see a task is the gateway's to say. */
function createTaskStore(): TaskStore {
  const tasks = createLru<string, Task>(MAX_TASKS);
  return {
    save: (task) => Promise.resolve(tasks.set(task.id, task)),
    load: (id) => Promise.resolve(tasks.get(id)),
    list: () => Promise.resolve({ tasks: [], nextPageToken: '', pageSize: 0, totalSize: 0 }),
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new RangeError('the message is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
