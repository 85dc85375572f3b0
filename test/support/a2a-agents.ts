/** Real A2A agents, one per version of the official SDK, all behaving alike: the messageId's prefix says what an agent does, the text is echoed. */
import { randomUUID } from 'node:crypto';
import { type IncomingHttpHeaders, type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { type AgentCard, type Message, type Part, Role, type Task, TaskState, type TaskStatus } from '@a2a-js/sdk';
import { duplicateInterfacesForLegacy } from '@a2a-js/sdk/compat/v0_3';
import {
  AgentEvent,
  type AgentExecutionEvent,
  DefaultRequestHandler,
  InMemoryPushNotificationStore,
  InMemoryTaskStore,
} from '@a2a-js/sdk/server';
import { UserBuilder, agentCardHandler, jsonRpcHandler, restHandler } from '@a2a-js/sdk/server/express';
import type { AgentCard as AgentCard02 } from 'a2a-sdk-02';
import {
  A2AExpressApp,
  DefaultRequestHandler as DefaultRequestHandler02,
  InMemoryTaskStore as InMemoryTaskStore02,
  type TaskStore as TaskStore02,
} from 'a2a-sdk-02/server';
import type { AgentCard as AgentCard03, Message as Message03, Part as Part03, Task as Task03 } from 'a2a-sdk-03';
import {
  type AgentExecutionEvent as AgentExecutionEvent03,
  DefaultRequestHandler as DefaultRequestHandler03,
  InMemoryPushNotificationStore as InMemoryPushNotificationStore03,
  InMemoryTaskStore as InMemoryTaskStore03,
} from 'a2a-sdk-03/server';
import {
  UserBuilder as UserBuilder03,
  agentCardHandler as agentCardHandler03,
  jsonRpcHandler as jsonRpcHandler03,
  restHandler as restHandler03,
} from 'a2a-sdk-03/server/express';
import express, { type Express, type RequestHandler } from 'express';

export const AGENT_SDKS = ['1.3.0', '0.3.14', '0.2.5'] as const;
export type AgentSdk = (typeof AGENT_SDKS)[number];

export interface AgentOptions {
  sdk: AgentSdk;
  /** 0, the default, takes a free one. */
  port?: number;
  name?: string;
  /** 1.3.0 only: answers 0.3 on the same URLs as well, and its card says so. */
  legacyCompat?: boolean;
}

/** A request as it reached the agent, cards included, in order of arrival. */
export interface AgentCall {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  /** Parsed, where it is JSON; undefined without a body, or where nothing read it. */
  body: unknown;
}

export interface RunningAgent {
  /** Where it speaks JSON-RPC. */
  url: string;
  /** Its origin. REST, where the version has it, is at `/a2a/rest` under it. */
  base: string;
  cardUrl: string;
  calls: AgentCall[];
  /** Ends what still runs and drops every connection. */
  close: () => Promise<void>;
}

export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const app = express();
  const server = createServer(app);
  const base = `http://127.0.0.1:${await listen(server, options.port ?? 0)}`;
  const calls: AgentCall[] = [];
  app.use(recordInto(calls));
  const runs = createRuns();
  const agent = { app, runs, base, name: options.name ?? `echo-${options.sdk}` };
  if (options.sdk === '1.3.0') mount10(agent, options.legacyCompat === true);
  else if (options.sdk === '0.3.14') mount03(agent);
  else mount02(agent);
  return {
    url: options.sdk === '0.2.5' ? `${base}/` : `${base}/a2a/jsonrpc`,
    base,
    cardUrl: `${base}/.well-known/${options.sdk === '0.2.5' ? 'agent.json' : 'agent-card.json'}`,
    calls,
    close() {
      runs.stopAll();
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

/** Listens in on the body from the moment the SDK's own parser does: earlier, and the parser would miss what went by. */
function recordInto(calls: AgentCall[]): RequestHandler {
  return (request, _response, next) => {
    const call: AgentCall = { method: request.method, path: request.originalUrl, headers: request.headers, body: undefined };
    calls.push(call);
    const chunks: Buffer[] = [];
    const listenIn = (event: string | symbol): void => {
      if (event !== 'data') return;
      request.off('newListener', listenIn);
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
    };
    request.on('newListener', listenIn);
    request.on('end', () => {
      if (chunks.length > 0) call.body = parsed(Buffer.concat(chunks).toString('utf8'));
    });
    next();
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** A state by its 0.3 name. */
type State = 'submitted' | 'working' | 'input-required' | 'completed' | 'canceled' | 'failed' | 'rejected';

/** A part before any version has worded it; a file's bytes are base64. */
type ScriptPart = { text: string } | { name: string; mediaType: string; bytes?: string; url?: string } | { data: object };

/** What the agent says next, in no version's words. */
type Said =
  | { say: 'task'; state: State }
  | { say: 'status'; state: State; text?: string }
  | { say: 'artifact'; artifactId: string; parts: ScriptPart[]; append: boolean; lastChunk: boolean }
  | { say: 'message'; text: string };

interface Asked {
  messageId: string;
  text: string;
  /** The message continues a task. */
  isFollowUp: boolean;
}

/** The longest that a timer can wait: 24 days. */
const FOR_EVER_MS = 2 ** 31 - 1;

/** The whole conduct of the agent. Nothing that it yields after `signal` is aborted counts. */
async function* script({ messageId, text, isFollowUp }: Asked, signal: AbortSignal): AsyncGenerator<Said, void> {
  const wants = (prefix: string): boolean => messageId.startsWith(prefix);
  if (wants('tck-message-response')) {
    yield { say: 'message', text: `echo: ${text}` };
    return;
  }
  // A 1.0 agent has to open every turn with the task, later turns included.
  yield { say: 'task', state: isFollowUp ? 'working' : 'submitted' };
  if (wants('tck-reject-task')) {
    yield { say: 'status', state: 'rejected', text: 'Not a task for me.' };
    return;
  }
  yield { say: 'status', state: 'working' };
  if (wants('tck-input-required') && !isFollowUp) {
    yield { say: 'status', state: 'input-required', text: 'Which line?' };
    return;
  }
  if (wants('tck-fail-task')) {
    yield { say: 'status', state: 'failed', text: 'The points are stuck.' };
    return;
  }
  const pauseMs = wants('never') ? FOR_EVER_MS : Number(/^slow-(\d+)/.exec(messageId)?.[1] ?? 0);
  if (pauseMs > 0) await delay(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
  yield* artifactsOf(messageId, text);
  yield { say: 'status', state: 'completed' };
}

function* artifactsOf(messageId: string, text: string): Generator<Said, void> {
  const artifactId = randomUUID();
  const chunkCount = Number(/^chunks-(\d+)/.exec(messageId)?.[1] ?? 1);
  for (let chunk = 1; chunk <= chunkCount; chunk++) {
    const parts = chunk === 1 ? firstParts(messageId, text) : [{ text: ` ${chunk}` }];
    yield { say: 'artifact', artifactId, parts, append: chunk > 1, lastChunk: chunk === chunkCount };
  }
}

function firstParts(messageId: string, text: string): ScriptPart[] {
  const file = { name: 'output.txt', mediaType: 'text/plain' };
  if (messageId.startsWith('tck-artifact-file-url')) return [{ ...file, url: 'https://example.com/output.txt' }];
  if (messageId.startsWith('tck-artifact-file')) return [{ ...file, bytes: Buffer.from(`echo: ${text}`).toString('base64') }];
  if (messageId.startsWith('tck-artifact-data')) return [{ data: { echo: text, count: 1 } }];
  return [{ text: `echo: ${text}` }];
}

interface Ids {
  taskId: string;
  contextId: string;
}

/** What runs in one agent. A task keeps its context after its run, so that one which waits for input can be cancelled too. */
interface Runs {
  perform: (ids: Ids, asked: Asked, publish: (said: Said) => void) => Promise<void>;
  /** Ends the run, if there is one; answers the task's ids. */
  stop: (taskId: string) => Ids;
  stopAll: () => void;
}

function createRuns(): Runs {
  const known = new Map<string, { contextId: string; stopping: AbortController }>();
  return {
    async perform({ taskId, contextId }, asked, publish) {
      const stopping = new AbortController();
      known.set(taskId, { contextId, stopping });
      for await (const said of script(asked, stopping.signal)) {
        if (stopping.signal.aborted) return;
        publish(said);
      }
    },
    stop(taskId) {
      const run = known.get(taskId);
      run?.stopping.abort();
      return { taskId, contextId: run?.contextId ?? '' };
    },
    stopAll() {
      for (const { stopping } of known.values()) stopping.abort();
    },
  };
}

interface Mounting {
  app: Express;
  runs: Runs;
  base: string;
  name: string;
}

const CANCELED: Said = { say: 'status', state: 'canceled' };
const CARD_PATH = '/.well-known/agent-card.json';

/** What the cards of all versions have in common. */
const aboutOf = (name: string) => ({
  name,
  description: 'Echoes what it is told.',
  version: '1.0.0',
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
});
const echoSkill = { id: 'echo', name: 'Echo', description: 'Echoes a text.', tags: ['test'] };
const whisperSkill = { id: 'whisper', name: 'Whisper', description: 'Only in the extended card.', tags: ['test'] };

function mount10({ app, runs, base, name }: Mounting, legacyCompat: boolean): void {
  const card = card10(name, base, legacyCompat);
  const extended: AgentCard = { ...card, name: `${name} (extended)`, skills: [...card.skills, skill10(whisperSkill)] };
  const executor = {
    async execute({ taskId, contextId, userMessage, task }, bus) {
      const asked = { messageId: userMessage.messageId, text: textOf10(userMessage), isFollowUp: task !== undefined };
      await runs.perform({ taskId, contextId }, asked, (said) => bus.publish(event10(said, { taskId, contextId }, task)));
    },
    async cancelTask(taskId, bus) {
      bus.publish(event10(CANCELED, runs.stop(taskId)));
    },
  } satisfies ConstructorParameters<typeof DefaultRequestHandler>[2];
  const pushes = new InMemoryPushNotificationStore();
  const requestHandler = new DefaultRequestHandler(
    card,
    new InMemoryTaskStore(),
    executor,
    undefined,
    pushes,
    undefined,
    // As a function, for the SDK gives a plain extended card to authenticated callers only.
    async () => extended,
  );
  const shared = { legacyCompat: { enabled: legacyCompat } };
  const users = { requestHandler, userBuilder: UserBuilder.noAuthentication };
  app.use(CARD_PATH, agentCardHandler({ agentCardProvider: requestHandler, ...shared }));
  app.use('/a2a/jsonrpc', jsonRpcHandler({ ...users, ...shared }));
  app.use('/a2a/rest', restHandler({ ...users, ...shared }));
}

function card10(name: string, base: string, legacyCompat: boolean): AgentCard {
  const current = { tenant: '', protocolVersion: '1.0' };
  const interfaces = [
    { url: `${base}/a2a/jsonrpc`, protocolBinding: 'JSONRPC', ...current },
    { url: `${base}/a2a/rest`, protocolBinding: 'HTTP+JSON', ...current },
  ];
  return {
    ...aboutOf(name),
    supportedInterfaces: legacyCompat ? duplicateInterfacesForLegacy(interfaces, ['JSONRPC', 'HTTP+JSON']) : interfaces,
    provider: undefined,
    capabilities: { streaming: true, pushNotifications: true, extendedAgentCard: true, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    skills: [skill10(echoSkill)],
    signatures: [],
  };
}

const skill10 = (skill: typeof echoSkill): AgentCard['skills'][number] => ({
  ...skill,
  examples: [],
  inputModes: [],
  outputModes: [],
  securityRequirements: [],
});

const textOf10 = ({ parts }: Message): string =>
  parts.map(({ content }) => (content?.$case === 'text' ? content.value : '')).join('');

const STATES_10: Readonly<Record<State, TaskState>> = {
  submitted: TaskState.TASK_STATE_SUBMITTED,
  working: TaskState.TASK_STATE_WORKING,
  'input-required': TaskState.TASK_STATE_INPUT_REQUIRED,
  completed: TaskState.TASK_STATE_COMPLETED,
  canceled: TaskState.TASK_STATE_CANCELED,
  failed: TaskState.TASK_STATE_FAILED,
  rejected: TaskState.TASK_STATE_REJECTED,
};

function part10(part: ScriptPart): Part {
  const plain = { metadata: undefined, filename: '', mediaType: '' };
  if ('text' in part) return { ...plain, content: { $case: 'text', value: part.text } };
  if ('data' in part) return { ...plain, content: { $case: 'data', value: part.data } };
  const about = { metadata: undefined, filename: part.name, mediaType: part.mediaType };
  if (part.url !== undefined) return { ...about, content: { $case: 'url', value: part.url } };
  return { ...about, content: { $case: 'raw', value: Buffer.from(part.bytes ?? '', 'base64') } };
}

function message10(text: string, { taskId, contextId }: Ids): Message {
  const parts = [part10({ text })];
  const rest = { metadata: undefined, extensions: [], referenceTaskIds: [] };
  return { messageId: randomUUID(), role: Role.ROLE_AGENT, taskId, contextId, parts, ...rest };
}

function status10(state: State, ids: Ids, text?: string): TaskStatus {
  const message = text === undefined ? undefined : message10(text, ids);
  return { state: STATES_10[state], message, timestamp: new Date().toISOString() };
}

function event10(said: Said, ids: Ids, earlier?: Task): AgentExecutionEvent {
  switch (said.say) {
    case 'message':
      // An answer that is no task names none.
      return AgentEvent.message(message10(said.text, { ...ids, taskId: '' }));
    case 'task': {
      const kept = earlier ?? { artifacts: [], history: [], metadata: undefined };
      return AgentEvent.task({ ...kept, id: ids.taskId, contextId: ids.contextId, status: status10(said.state, ids) });
    }
    case 'status':
      return AgentEvent.statusUpdate({ ...ids, status: status10(said.state, ids, said.text), metadata: undefined });
    case 'artifact': {
      const { artifactId, append, lastChunk } = said;
      const about = { name: 'echo', description: '', metadata: undefined, extensions: [] };
      const artifact = { artifactId, parts: said.parts.map(part10), ...about };
      return AgentEvent.artifactUpdate({ ...ids, artifact, append, lastChunk, metadata: undefined });
    }
  }
}

function mount03({ app, runs, base, name }: Mounting): void {
  const card: AgentCard03 = {
    ...aboutOf(name),
    protocolVersion: '0.3.0',
    url: `${base}/a2a/jsonrpc`,
    preferredTransport: 'JSONRPC',
    additionalInterfaces: [
      { url: `${base}/a2a/jsonrpc`, transport: 'JSONRPC' },
      { url: `${base}/a2a/rest`, transport: 'HTTP+JSON' },
    ],
    capabilities: { streaming: true, pushNotifications: true },
    supportsAuthenticatedExtendedCard: true,
    skills: [echoSkill],
  };
  const extended: AgentCard03 = { ...card, name: `${name} (extended)`, skills: [echoSkill, whisperSkill] };
  const pushes = new InMemoryPushNotificationStore03();
  const requestHandler = new DefaultRequestHandler03(
    card,
    new InMemoryTaskStore03(),
    executor03(runs),
    undefined,
    pushes,
    undefined,
    async () => extended,
  );
  const users = { requestHandler, userBuilder: UserBuilder03.noAuthentication };
  app.use(CARD_PATH, agentCardHandler03({ agentCardProvider: requestHandler }));
  app.use('/a2a/jsonrpc', jsonRpcHandler03(users));
  app.use('/a2a/rest', restHandler03(users));
}

interface Turn03 extends Ids {
  userMessage: { messageId: string; parts: readonly { kind: string; text?: string }[] };
  task?: Earlier03;
}

type Earlier03 = Pick<Task03, 'artifacts' | 'history'>;

interface Bus03 {
  publish: (event: AgentExecutionEvent03) => void;
  finished: () => void;
}

/** For 0.2 as well: what both call one alike. */
const executor03 = (runs: Runs, afterCancel: (taskId: string) => unknown = () => undefined) => ({
  async execute({ taskId, contextId, userMessage, task }: Turn03, bus: Bus03): Promise<void> {
    const asked = { messageId: userMessage.messageId, text: textOf03(userMessage), isFollowUp: task !== undefined };
    await runs.perform({ taskId, contextId }, asked, (said) => bus.publish(event03(said, { taskId, contextId }, task)));
    bus.finished();
  },
  async cancelTask(taskId: string, bus: Bus03): Promise<void> {
    bus.publish(event03(CANCELED, runs.stop(taskId)));
    await afterCancel(taskId);
  },
});

const textOf03 = ({ parts }: Turn03['userMessage']): string => parts.map((part) => part.text ?? '').join('');

function part03(part: ScriptPart): Part03 {
  if ('text' in part) return { kind: 'text', text: part.text };
  if ('data' in part) return { kind: 'data', data: { ...part.data } };
  const { name, mediaType: mimeType } = part;
  if (part.url !== undefined) return { kind: 'file', file: { name, mimeType, uri: part.url } };
  return { kind: 'file', file: { name, mimeType, bytes: part.bytes ?? '' } };
}

function message03(text: string, ids: Partial<Ids>): Message03 {
  return { kind: 'message', messageId: randomUUID(), role: 'agent', ...ids, parts: [part03({ text })] };
}

/** The event as 0.3 words it, and 0.2 just so. */
function event03(said: Said, ids: Ids, earlier?: Earlier03): AgentExecutionEvent03 {
  const timestamp = new Date().toISOString();
  switch (said.say) {
    case 'message':
      return message03(said.text, { contextId: ids.contextId });
    case 'task': {
      const kept = { artifacts: earlier?.artifacts ?? [], history: earlier?.history ?? [] };
      return { kind: 'task', id: ids.taskId, contextId: ids.contextId, ...kept, status: { state: said.state, timestamp } };
    }
    case 'status': {
      const message = said.text === undefined ? {} : { message: message03(said.text, ids) };
      const final = said.state !== 'working' && said.state !== 'submitted';
      return { kind: 'status-update', ...ids, status: { state: said.state, ...message, timestamp }, final };
    }
    case 'artifact': {
      const { artifactId, append, lastChunk } = said;
      const artifact = { artifactId, name: 'echo', parts: said.parts.map(part03) };
      return { kind: 'artifact-update', ...ids, artifact, append, lastChunk };
    }
  }
}

function mount02({ app, runs, base, name }: Mounting): void {
  const card: AgentCard02 & { protocolVersion: string } = {
    ...aboutOf(name),
    // The protocol of that version asks for it; the SDK's type does not know it yet.
    protocolVersion: '0.2.5',
    url: `${base}/`,
    capabilities: { streaming: true, pushNotifications: true },
    skills: [echoSkill],
  };
  const tasks = new InMemoryTaskStore02();
  const handler = new DefaultRequestHandler02(
    card,
    tasks,
    executor03(runs, (taskId) => untilCanceled(tasks, taskId)),
  );
  // Brings a router of express 4, which an app of express 5 mounts as any other handler; only the types disagree.
  new A2AExpressApp(handler).setupRoutes(app as unknown as Parameters<A2AExpressApp['setupRoutes']>[0]);
}

/** This version answers a cancellation with the task as stored, and stores what was published some ticks later. */
async function untilCanceled(tasks: TaskStore02, taskId: string): Promise<void> {
  const deadline = performance.now() + 1_000;
  while ((await tasks.load(taskId))?.status.state !== 'canceled' && performance.now() < deadline) await delay(1);
}
