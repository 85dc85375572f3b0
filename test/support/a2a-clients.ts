/** The official SDK's clients, two protocol versions of them, behind one plain interface: what an application gets to see, whichever it is built on. */
import { randomUUID } from 'node:crypto';

import {
  type Message,
  type Part,
  Role,
  type SendMessageRequest,
  type StreamResponse,
  type Task,
  type TaskPushNotificationConfig,
  TaskState,
} from '@a2a-js/sdk';
import { ClientFactory, DefaultAgentCardResolver, JsonRpcTransportFactory, RestTransportFactory } from '@a2a-js/sdk/client';
import { A2AError, isRestError, toJsonRpcError } from '@a2a-js/sdk/errors';
import type {
  Message as Message03,
  MessageSendParams as MessageSendParams03,
  Part as Part03,
  Task as Task03,
  TaskArtifactUpdateEvent as ArtifactEvent03,
  TaskPushNotificationConfig as PushConfig03,
  TaskStatusUpdateEvent as StatusEvent03,
} from 'a2a-sdk-03';
import {
  AuthenticatedExtendedCardNotConfiguredError,
  ClientFactory as ClientFactory03,
  ContentTypeNotSupportedError,
  DefaultAgentCardResolver as DefaultAgentCardResolver03,
  InvalidAgentResponseError,
  JsonRpcTransportFactory as JsonRpcTransportFactory03,
  PushNotificationNotSupportedError,
  RestTransportFactory as RestTransportFactory03,
  TaskNotCancelableError,
  TaskNotFoundError,
  UnsupportedOperationError,
} from 'a2a-sdk-03/client';

import { AGENT_SDKS, type AgentSdk } from './a2a-agents.ts';

export const CLIENT_SDKS = ['1.3.0', '0.3.14'] as const;
export type ClientSdk = (typeof CLIENT_SDKS)[number];
export const BINDINGS = ['JSONRPC', 'HTTP+JSON'] as const;
export type Binding = (typeof BINDINGS)[number];

export interface MatrixCell {
  agent: AgentSdk;
  client: ClientSdk;
  binding: Binding;
}

/** Every agent with every client over every binding that the client has. */
export function matrixCells(): MatrixCell[] {
  return AGENT_SDKS.flatMap((agent) => CLIENT_SDKS.flatMap((client) => BINDINGS.map((binding) => ({ agent, client, binding }))));
}

/** A part that is no text; bytes are base64. */
export type PlainPart = { file: { name: string; mediaType: string; bytes?: string; url?: string } } | { data: unknown };

export interface PlainTask {
  kind: 'task';
  id: string;
  contextId: string;
  /** In 0.3's words: `completed`, `input-required`. */
  state: string;
  /** Of all artifacts, joined. */
  text: string;
  /** Of all artifacts; absent where they are nothing but text. */
  parts?: PlainPart[];
}

export interface PlainMessage {
  kind: 'message';
  text: string;
}

export type PlainResult = PlainTask | PlainMessage;

/** `text` of a status is its message's, and absent without one. */
export type PlainEvent =
  | PlainResult
  | { kind: 'status'; state: string; text?: string }
  | { kind: 'artifact'; text: string; parts?: PlainPart[] };

export interface PushConfig {
  id: string;
  url: string;
  token?: string;
}

export interface PlainPush extends PushConfig {
  taskId: string;
}

export interface SendOptions {
  messageId?: string;
  taskId?: string;
  contextId?: string;
  /** Waits for the task's end; the default. Streams know no other way. */
  blocking?: boolean;
  push?: PushConfig;
}

/** Every method rejects with an `A2aFailure`. */
export interface PlainClient {
  send: (text: string, options?: SendOptions) => Promise<PlainResult>;
  stream: (text: string, options?: SendOptions) => AsyncGenerator<PlainEvent, void>;
  get: (taskId: string) => Promise<PlainTask>;
  /** 1.0 only: 0.3 has no such method. */
  list?: (filter?: { contextId?: string }) => Promise<PlainTask[]>;
  cancel: (taskId: string) => Promise<PlainTask>;
  subscribe: (taskId: string) => AsyncGenerator<PlainEvent, void>;
  pushSet: (taskId: string, config: PushConfig) => Promise<PlainPush>;
  pushGet: (taskId: string, id: string) => Promise<PlainPush>;
  pushList: (taskId: string) => Promise<PlainPush[]>;
  pushDelete: (taskId: string, id: string) => Promise<void>;
  /** As the SDK's client takes it: the public card where that names no extended one. */
  extendedCard: () => Promise<{ name: string; skills: string[] }>;
}

/** An SDK's error, told alike. `code` is the JSON-RPC code; an HTTP status where the answer was no A2A error; 0 where neither is known. */
export class A2aFailure extends Error {
  readonly code: number;
  constructor(code: number, message: string, cause: unknown) {
    super(message, { cause });
    this.name = 'A2aFailure';
    this.code = code;
  }
}

export interface ClientOptions {
  sdk: ClientSdk;
  binding: Binding;
  baseUrl: string;
  /** Sent with every request, the card's included. */
  headers?: Record<string, string>;
  /** Below `baseUrl`; the well-known one by default. */
  cardPath?: string;
}

/** Reads the card and takes the wished binding from it, no other; rejects where the SDK finds none. */
export async function clientOf(options: ClientOptions): Promise<PlainClient> {
  try {
    return await (options.sdk === '1.3.0' ? client10(options) : client03(options));
  } catch (error) {
    throw failureOf(error);
  }
}

/** The resolvers look for the card relative to the last slash of `baseUrl`; where none ends it, or it is another card, they are told its whole URL. */
const cardPlaceOf = ({ baseUrl, cardPath }: ClientOptions): [url: string, path?: string] =>
  cardPath === undefined && baseUrl.endsWith('/')
    ? [baseUrl]
    : [`${baseUrl.replace(/\/$/, '')}${cardPath ?? '/.well-known/agent-card.json'}`, ''];

function fetchWith(headers: Record<string, string> = {}): typeof fetch {
  return (input, init) => {
    const all = new Headers(init?.headers);
    for (const [name, value] of Object.entries(headers)) all.set(name, value);
    return fetch(input, { ...init, headers: all });
  };
}

async function client10(options: ClientOptions): Promise<PlainClient> {
  const shared = { fetchImpl: fetchWith(options.headers) };
  const transport = options.binding === 'JSONRPC' ? new JsonRpcTransportFactory(shared) : new RestTransportFactory(shared);
  const cardResolver = new DefaultAgentCardResolver(shared);
  const factory = new ClientFactory({ transports: [transport], cardResolver });
  const client = await factory.createFromUrl(...cardPlaceOf(options));
  const tenant = '';
  return {
    send: (text, options) => told(async () => result10(await client.sendMessage(request10(text, options)))),
    stream: (text, options) => toldEach(client.sendMessageStream(request10(text, options)), event10),
    get: (id) => told(async () => task10(await client.getTask({ tenant, id }))),
    list: ({ contextId = '' } = {}) =>
      told(async () => {
        const status = TaskState.TASK_STATE_UNSPECIFIED;
        const filter = { tenant, contextId, status, pageToken: '', statusTimestampAfter: undefined, includeArtifacts: true };
        return (await client.listTasks(filter)).tasks.map(task10);
      }),
    cancel: (id) => told(async () => task10(await client.cancelTask({ tenant, id, metadata: undefined }))),
    subscribe: (id) => toldEach(client.resubscribeTask({ tenant, id }), event10),
    pushSet: (taskId, config) =>
      told(async () => push10(await client.createTaskPushNotificationConfig(pushConfig10(taskId, config)))),
    pushGet: (taskId, id) => told(async () => push10(await client.getTaskPushNotificationConfig({ tenant, taskId, id }))),
    pushList: (taskId) =>
      told(async () => {
        const page = { tenant, taskId, pageSize: 0, pageToken: '' };
        return (await client.listTaskPushNotificationConfig(page)).configs.map(push10);
      }),
    pushDelete: (taskId, id) => told(() => client.deleteTaskPushNotificationConfig({ tenant, taskId, id })),
    extendedCard: () => told(async () => plainCard(await client.getAgentCard())),
  };
}

function request10(text: string, options: SendOptions = {}): SendMessageRequest {
  const { messageId = randomUUID(), taskId = '', contextId = '', blocking = true, push } = options;
  const parts: Part[] = [{ content: { $case: 'text', value: text }, metadata: undefined, filename: '', mediaType: 'text/plain' }];
  const rest = { metadata: undefined, extensions: [], referenceTaskIds: [] };
  return {
    tenant: '',
    message: { messageId, taskId, contextId, role: Role.ROLE_USER, parts, ...rest },
    configuration: {
      acceptedOutputModes: [],
      taskPushNotificationConfig: push === undefined ? undefined : pushConfig10('', push),
      returnImmediately: !blocking,
    },
    metadata: undefined,
  };
}

function pushConfig10(taskId: string, { id, url, token = '' }: PushConfig): TaskPushNotificationConfig {
  return { tenant: '', taskId, id, url, token, authentication: undefined };
}

const push10 = ({ taskId, id, url, token }: TaskPushNotificationConfig): PlainPush => ({
  taskId,
  id,
  url,
  ...(token ? { token } : {}),
});

/** `TASK_STATE_INPUT_REQUIRED` is `input-required`. */
function state10(state: TaskState = TaskState.TASK_STATE_UNSPECIFIED): string {
  if (state === TaskState.TASK_STATE_UNSPECIFIED || state === TaskState.UNRECOGNIZED) return 'unknown';
  return TaskState[state].slice('TASK_STATE_'.length).toLowerCase().replaceAll('_', '-');
}

function neutralPart10({ content, filename, mediaType }: Part): string | PlainPart {
  const file = { name: filename, mediaType };
  if (content?.$case === 'raw') return { file: { ...file, bytes: Buffer.from(content.value).toString('base64') } };
  if (content?.$case === 'url') return { file: { ...file, url: content.value } };
  if (content?.$case === 'data') return { data: content.value as unknown };
  return content?.value ?? '';
}

function task10({ id, contextId, status, artifacts }: Task): PlainTask {
  const parts = artifacts.flatMap((artifact) => artifact.parts.map(neutralPart10));
  return { kind: 'task', id, contextId, state: state10(status?.state), ...contentOf(parts) };
}

const message10 = ({ parts }: Message): PlainMessage => ({ kind: 'message', text: contentOf(parts.map(neutralPart10)).text });

const result10 = (result: Message | Task): PlainResult => ('messageId' in result ? message10(result) : task10(result));

function event10({ payload }: StreamResponse): PlainEvent {
  switch (payload?.$case) {
    case 'task':
      return task10(payload.value);
    case 'message':
      return message10(payload.value);
    case 'statusUpdate': {
      const { state, message } = payload.value.status ?? {};
      return { kind: 'status', state: state10(state), ...(message ? { text: message10(message).text } : {}) };
    }
    case 'artifactUpdate':
      return { kind: 'artifact', ...contentOf((payload.value.artifact?.parts ?? []).map(neutralPart10)) };
    default:
      throw new Error('The SDK yields an event without a payload');
  }
}

async function client03(options: ClientOptions): Promise<PlainClient> {
  const shared = { fetchImpl: fetchWith(options.headers) };
  const transport = options.binding === 'JSONRPC' ? new JsonRpcTransportFactory03(shared) : new RestTransportFactory03(shared);
  const cardResolver = new DefaultAgentCardResolver03(shared);
  const factory = new ClientFactory03({ transports: [transport], cardResolver });
  const client = await factory.createFromUrl(...cardPlaceOf(options));
  return {
    send: (text, options) => told(async () => result03(await client.sendMessage(request03(text, options)))),
    stream: (text, options) => toldEach(client.sendMessageStream(request03(text, options)), event03),
    get: (id) => told(async () => task03(await client.getTask({ id }))),
    cancel: (id) => told(async () => task03(await client.cancelTask({ id }))),
    subscribe: (id) => toldEach(client.resubscribeTask({ id }), event03),
    pushSet: (taskId, pushNotificationConfig) =>
      told(async () => push03(await client.setTaskPushNotificationConfig({ taskId, pushNotificationConfig }))),
    pushGet: (id, pushNotificationConfigId) =>
      told(async () => {
        // The type has only the task's id, REST demands the configuration's too.
        const params = { id, pushNotificationConfigId };
        return push03(await client.getTaskPushNotificationConfig(params));
      }),
    pushList: (id) => told(async () => (await client.listTaskPushNotificationConfig({ id })).map(push03)),
    pushDelete: (id, pushNotificationConfigId) =>
      told(() => client.deleteTaskPushNotificationConfig({ id, pushNotificationConfigId })),
    extendedCard: () => told(async () => plainCard(await client.getAgentCard())),
  };
}

function request03(text: string, options: SendOptions = {}): MessageSendParams03 {
  const { messageId = randomUUID(), blocking = true, push, taskId, contextId } = options;
  const place = { ...(taskId === undefined ? {} : { taskId }), ...(contextId === undefined ? {} : { contextId }) };
  return {
    message: { kind: 'message', messageId, role: 'user', parts: [{ kind: 'text', text }], ...place },
    configuration: { blocking, ...(push === undefined ? {} : { pushNotificationConfig: push }) },
  };
}

const push03 = ({ taskId, pushNotificationConfig: { id = '', url, token } }: PushConfig03): PlainPush => ({
  taskId,
  id,
  url,
  ...(token ? { token } : {}),
});

function neutralPart03(part: Part03): string | PlainPart {
  if (part.kind === 'text') return part.text;
  if (part.kind === 'data') return { data: part.data };
  const file = { name: part.file.name ?? '', mediaType: part.file.mimeType ?? '' };
  return 'uri' in part.file ? { file: { ...file, url: part.file.uri } } : { file: { ...file, bytes: part.file.bytes } };
}

function task03({ id, contextId, status, artifacts = [] }: Task03): PlainTask {
  const parts = artifacts.flatMap((artifact) => artifact.parts.map(neutralPart03));
  return { kind: 'task', id, contextId, state: status.state, ...contentOf(parts) };
}

const message03 = ({ parts }: Message03): PlainMessage => ({ kind: 'message', text: contentOf(parts.map(neutralPart03)).text });

const result03 = (result: Message03 | Task03): PlainResult => (result.kind === 'message' ? message03(result) : task03(result));

function event03(event: Message03 | Task03 | StatusEvent03 | ArtifactEvent03): PlainEvent {
  if (event.kind === 'artifact-update') return { kind: 'artifact', ...contentOf(event.artifact.parts.map(neutralPart03)) };
  if (event.kind !== 'status-update') return result03(event);
  const { state, message } = event.status;
  return { kind: 'status', state, ...(message ? { text: message03(message).text } : {}) };
}

/** Texts joined, the rest beside them. */
function contentOf(parts: (string | PlainPart)[]): { text: string; parts?: PlainPart[] } {
  const others = parts.filter((part) => typeof part !== 'string');
  const text = parts.filter((part) => typeof part === 'string').join('');
  return others.length === 0 ? { text } : { text, parts: others };
}

const plainCard = ({ name, skills }: { name: string; skills: readonly { id: string }[] }) => ({
  name,
  skills: skills.map(({ id }) => id),
});

async function told<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw failureOf(error);
  }
}

async function* toldEach<T>(events: AsyncIterable<T>, plain: (event: T) => PlainEvent): AsyncGenerator<PlainEvent, void> {
  try {
    for await (const event of events) yield plain(event);
  } catch (error) {
    throw failureOf(error);
  }
}

/** An error that came inside a stream is the cause of what the SDKs throw. */
function failureOf(error: unknown): A2aFailure {
  if (error instanceof A2aFailure) return error;
  const { message, cause } = error instanceof Error ? error : { message: String(error), cause: undefined };
  const code = codeOf(error) ?? codeOf(cause) ?? codeInWords(message);
  return new A2aFailure(code, message, error);
}

const CODES_03 = [
  [TaskNotFoundError, -32_001],
  [TaskNotCancelableError, -32_002],
  [PushNotificationNotSupportedError, -32_003],
  [UnsupportedOperationError, -32_004],
  [ContentTypeNotSupportedError, -32_005],
  [InvalidAgentResponseError, -32_006],
  [AuthenticatedExtendedCardNotConfiguredError, -32_007],
] as const;

/** What the error's class says. */
function codeOf(error: unknown): number | undefined {
  for (const [kind, code] of CODES_03) if (error instanceof kind) return code;
  const envelope = (error as { errorResponse?: { error: { code: number } } } | undefined)?.errorResponse;
  if (envelope !== undefined) return envelope.error.code;
  if (!(error instanceof A2AError)) return undefined;
  const { code } = toJsonRpcError(error);
  // Over REST an answer that names no reason keeps nothing but its status.
  return code === -32_603 && isRestError(error) && error.statusCode !== 500 ? error.statusCode : code;
}

/** What the error's text says, where an SDK throws a bare one. */
function codeInWords(message: string): number {
  const found = /\(Code: (-?\d+)\)/.exec(message) ?? /: (\d{3})\b/.exec(message);
  return Number(found?.[1] ?? 0);
}
