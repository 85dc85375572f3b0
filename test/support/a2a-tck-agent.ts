/** The agent under the conformance suite, as the kit wants it: the messageId's prefix says what the executor does, everything else is the official SDK's. */
import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { type IncomingHttpHeaders, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { type AgentCard, type Part, Role, TaskState } from '@a2a-js/sdk';
import { AgentEvent, type AgentExecutionEvent, DefaultRequestHandler, InMemoryTaskStore } from '@a2a-js/sdk/server';
import { UserBuilder, agentCardHandler, jsonRpcHandler, restHandler } from '@a2a-js/sdk/server/express';
import express from 'express';

export interface TckAgentOptions {
  name: string;
  streaming: boolean;
  push: boolean;
  /** `announced`: the card promises one, and nobody has made it. */
  extendedCard: 'none' | 'announced' | 'there';
  requiredExtension?: string;
}

export interface TckAgent {
  base: string;
  /** What reached it, in order of arrival. */
  requests: { path: string; headers: IncomingHttpHeaders }[];
  /** Lets what waits under that messageId go on. */
  release: (messageId: string) => void;
  close: () => Promise<void>;
}

export async function startTckAgent(options: TckAgentOptions): Promise<TckAgent> {
  const app = express();
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const requests: TckAgent['requests'] = [];
  app.use((request, _response, next) => {
    requests.push({ path: request.originalUrl, headers: request.headers });
    next();
  });
  const stage = createStage();
  const requestHandler = handlerOf(cardOf(options, base), stage, options);
  const users = { requestHandler, userBuilder: UserBuilder.noAuthentication };
  app.use('/.well-known/agent-card.json', agentCardHandler({ agentCardProvider: requestHandler }));
  app.use('/a2a/jsonrpc', jsonRpcHandler(users));
  app.use('/a2a/rest', restHandler(users));
  return {
    base,
    requests,
    release: stage.release,
    close: () =>
      new Promise((resolve) => {
        stage.stopAll();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function handlerOf(card: AgentCard, stage: Stage, { extendedCard }: TckAgentOptions): DefaultRequestHandler {
  const executor = {
    async execute({ taskId, contextId, userMessage, task }, bus) {
      const { signal, waiting } = stage.enter(taskId, contextId);
      const asked = { taskId, contextId, messageId: userMessage.messageId, task, waiting, signal };
      for await (const event of scenario(asked)) if (!signal.aborted) bus.publish(event);
    },
    async cancelTask(taskId, bus) {
      const contextId = stage.stop(taskId);
      bus.publish(statusEvent({ taskId, contextId }, TaskState.TASK_STATE_CANCELED));
    },
  } satisfies ConstructorParameters<typeof DefaultRequestHandler>[2];
  const extended = extendedCard === 'there' ? async () => ({ ...card, name: `${card.name} (extended)` }) : undefined;
  const options = { validateInputModes: true };
  const parts = [undefined, undefined, undefined, extended, undefined, options] as const;
  return new DefaultRequestHandler(card, new InMemoryTaskStore(), executor, ...parts);
}

function cardOf({ name, streaming, push, extendedCard, requiredExtension }: TckAgentOptions, base: string): AgentCard {
  const current = { tenant: '', protocolVersion: '1.0' };
  const inherited = { examples: [], inputModes: [], outputModes: [], securityRequirements: [] };
  const required = { description: 'The suite asks for it.', required: true, params: undefined };
  return {
    name,
    description: 'Does what the messageId says.',
    version: '1.0.0',
    provider: undefined,
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    supportedInterfaces: [
      { url: `${base}/a2a/jsonrpc`, protocolBinding: 'JSONRPC', ...current },
      { url: `${base}/a2a/rest`, protocolBinding: 'HTTP+JSON', ...current },
    ],
    capabilities: {
      streaming,
      pushNotifications: push,
      extendedAgentCard: extendedCard !== 'none',
      extensions: requiredExtension === undefined ? [] : [{ uri: requiredExtension, ...required }],
    },
    securitySchemes: {},
    securityRequirements: [],
    skills: [{ id: 'tck', name: 'TCK', description: 'Scenarios by prefix.', tags: ['tck'], ...inherited }],
    signatures: [],
  };
}

/** Who is on: tasks that run, to be stopped, and messages that wait for their cue. */
interface Stage {
  enter: (taskId: string, contextId: string) => { signal: AbortSignal; waiting: EventEmitter };
  /** Answers the task's context. */
  stop: (taskId: string) => string;
  stopAll: () => void;
  release: (messageId: string) => void;
}

function createStage(): Stage {
  const waiting = new EventEmitter();
  const running = new Map<string, { contextId: string; stopping: AbortController }>();
  return {
    enter(taskId, contextId) {
      const stopping = new AbortController();
      running.set(taskId, { contextId, stopping });
      return { signal: stopping.signal, waiting };
    },
    stop(taskId) {
      const run = running.get(taskId);
      run?.stopping.abort();
      return run?.contextId ?? '';
    },
    stopAll() {
      for (const { stopping } of running.values()) stopping.abort();
    },
    release: (messageId) => void waiting.emit(messageId),
  };
}

interface Asked {
  taskId: string;
  contextId: string;
  messageId: string;
  /** The message continues it. */
  task: { artifacts: object[]; history: object[] } | undefined;
  signal: AbortSignal;
  waiting: EventEmitter;
}

const PAUSE_MS = 250;
export const CHUNKS = ['one', 'two', 'three', 'four', 'five'] as const;

async function* scenario(asked: Asked): AsyncGenerator<AgentExecutionEvent, void> {
  const { messageId, signal, waiting } = asked;
  const wants = (prefix: string): boolean => messageId.startsWith(prefix);
  if (wants('tck-message-response') || wants('tck-stream-002')) {
    yield AgentEvent.message(agentMessage({ ...asked, taskId: '' }, 'Direct message response'));
    return;
  }
  yield taskEvent(asked);
  const stays = Object.keys(STAYS).find(wants);
  if (stays !== undefined) {
    yield statusEvent(asked, STAYS[stays]!, 'Something is wanted of you.');
    return;
  }
  if (wants('tck-credentials-elsewhere')) yield statusEvent(asked, TaskState.TASK_STATE_AUTH_REQUIRED, 'Log in over there.');
  else yield statusEvent(asked, TaskState.TASK_STATE_WORKING);
  if (wants('tck-hold') || wants('tck-credentials-elsewhere')) await once(waiting, messageId, { signal }).catch(() => undefined);
  if (wants('tck-delayed-complete')) await delay(PAUSE_MS, undefined, { signal }).catch(() => undefined);
  yield* artifacts(asked);
  yield statusEvent(asked, TaskState.TASK_STATE_COMPLETED, 'Hello from the agent');
}

/** Prefixes of tasks that end, or wait for the client, without having done anything. */
const STAYS: Readonly<Record<string, TaskState>> = {
  'tck-input-required': TaskState.TASK_STATE_INPUT_REQUIRED,
  'tck-auth-required': TaskState.TASK_STATE_AUTH_REQUIRED,
  'tck-reject-task': TaskState.TASK_STATE_REJECTED,
};

function* artifacts(asked: Asked): Generator<AgentExecutionEvent, void> {
  const { messageId } = asked;
  const isChunked = messageId.startsWith('tck-hold') || messageId.startsWith('tck-stream-003');
  const content = Object.entries(ARTIFACTS).find(([prefix]) => messageId.startsWith(prefix))?.[1];
  if (isChunked) {
    for (const [index, text] of CHUNKS.entries()) {
      const chunk = { append: index > 0, lastChunk: index === CHUNKS.length - 1 };
      yield artifactEvent(asked, partOf({ content: textContent(text) }), chunk);
    }
  } else if (content !== undefined) yield artifactEvent(asked, partOf(content), { append: false, lastChunk: true });
}

const textContent = (value: string): Part['content'] => ({ $case: 'text', value });
const file = { filename: 'output.txt', mediaType: 'text/plain' };
/** The longer prefix first. */
const ARTIFACTS: Readonly<Record<string, Partial<Part>>> = {
  'tck-artifact-text': { content: textContent('Generated text content') },
  'tck-artifact-file-url': { ...file, content: { $case: 'url', value: 'https://example.com/output.txt' } },
  'tck-artifact-file': { ...file, content: { $case: 'raw', value: Buffer.from('file content') } },
  'tck-artifact-data': { content: { $case: 'data', value: { key: 'value', count: 42 } } },
};

const partOf = (part: Partial<Part>): Part => ({ metadata: undefined, filename: '', mediaType: '', content: undefined, ...part });

type Ids = Pick<Asked, 'taskId' | 'contextId'>;

function agentMessage({ taskId, contextId }: Ids, text: string) {
  const rest = { metadata: undefined, extensions: [], referenceTaskIds: [] };
  return {
    messageId: randomUUID(),
    role: Role.ROLE_AGENT,
    taskId,
    contextId,
    parts: [partOf({ content: textContent(text) })],
    ...rest,
  };
}

const now = (): string => new Date().toISOString();

/** Every turn of a 1.0 agent opens with the task, later ones included. */
function taskEvent({ taskId: id, contextId, task }: Asked): AgentExecutionEvent {
  const status = { state: TaskState.TASK_STATE_SUBMITTED, message: undefined, timestamp: now() };
  const kept = task ?? { artifacts: [], history: [], metadata: undefined };
  return AgentEvent.task({ ...(kept as Parameters<typeof AgentEvent.task>[0]), id, contextId, status });
}

function statusEvent({ taskId, contextId }: Ids, state: TaskState, text?: string): AgentExecutionEvent {
  const message = text === undefined ? undefined : agentMessage({ taskId, contextId }, text);
  return AgentEvent.statusUpdate({ taskId, contextId, metadata: undefined, status: { state, message, timestamp: now() } });
}

interface Chunk {
  append: boolean;
  lastChunk: boolean;
}

function artifactEvent({ taskId, contextId }: Ids, part: Part, chunk: Chunk): AgentExecutionEvent {
  const artifact = {
    artifactId: `of-${taskId}`,
    name: 'output',
    description: '',
    metadata: undefined,
    extensions: [],
    parts: [part],
  };
  return AgentEvent.artifactUpdate({ taskId, contextId, artifact, ...chunk, metadata: undefined });
}
