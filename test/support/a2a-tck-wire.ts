/** How the conformance suite speaks: raw HTTP in both versions over both bindings, and answers read by the specification alone. */
export type Json = Record<string, unknown>;
export type Version = '1.0' | '0.3';
export type Form = 'JSON-RPC' | 'REST';

export interface Wire {
  form: Form;
  version: Version;
}

/** Where one agent is spoken to. */
export interface Place extends Wire {
  url: string;
  headers: Record<string, string>;
}

export type Verb = 'send' | 'stream' | 'get' | 'list' | 'cancel' | 'subscribe' | PushVerb | 'extendedCard';
type PushVerb = 'pushCreate' | 'pushGet' | 'pushList' | 'pushDelete';

/** Parameters as 1.0 writes them, but for a message's parts. */
export interface Asking {
  message?: {
    messageId: string;
    text?: string;
    bytes?: string;
    mediaType?: string;
    taskId?: string;
    contextId?: string;
    more?: Json;
  };
  configuration?: { returnImmediately?: boolean; historyLength?: number };
  id?: string;
  /** Of a push notification configuration: its task is `id` here. */
  configId?: string;
  push?: Json;
  query?: Json;
  headers?: Record<string, string>;
}

export interface Answer {
  place: Place;
  status: number;
  headers: Headers;
  body: Json;
}

export const METHODS: Readonly<Record<Version, Readonly<Record<Verb, string>>>> = {
  '1.0': {
    send: 'SendMessage',
    stream: 'SendStreamingMessage',
    get: 'GetTask',
    list: 'ListTasks',
    cancel: 'CancelTask',
    subscribe: 'SubscribeToTask',
    pushCreate: 'CreateTaskPushNotificationConfig',
    pushGet: 'GetTaskPushNotificationConfig',
    pushList: 'ListTaskPushNotificationConfigs',
    pushDelete: 'DeleteTaskPushNotificationConfig',
    extendedCard: 'GetExtendedAgentCard',
  },
  '0.3': {
    send: 'message/send',
    stream: 'message/stream',
    get: 'tasks/get',
    list: 'tasks/list',
    cancel: 'tasks/cancel',
    subscribe: 'tasks/resubscribe',
    pushCreate: 'tasks/pushNotificationConfig/set',
    pushGet: 'tasks/pushNotificationConfig/get',
    pushList: 'tasks/pushNotificationConfig/list',
    pushDelete: 'tasks/pushNotificationConfig/delete',
    extendedCard: 'agent/getAuthenticatedExtendedCard',
  },
};

export const RPC_ID = 'tck-request-1';

/** One request with one whole answer. */
export async function ask(place: Place, verb: Verb, asking: Asking = {}): Promise<Answer> {
  return answerOf(place, await send(place, verb, asking));
}

/** A body as it is. */
export async function post(place: Place, body: string, headers: Record<string, string> = {}): Promise<Answer> {
  const all = { 'content-type': 'application/json', 'a2a-version': place.version, ...place.headers, ...headers };
  return answerOf(place, await fetch(place.url, { method: 'POST', headers: all, body }));
}

async function answerOf(place: Place, response: Response): Promise<Answer> {
  const text = await response.text();
  const body = (text === '' ? {} : JSON.parse(text)) as Json;
  return { place, status: response.status, headers: response.headers, body };
}

function send(place: Place, verb: Verb, asking: Asking): Promise<Response> {
  const headers = { 'a2a-version': place.version, ...place.headers, ...asking.headers };
  if (place.form === 'JSON-RPC') {
    const body = { jsonrpc: '2.0', id: RPC_ID, method: METHODS[place.version][verb], params: rpcParams(place, verb, asking) };
    const own = { 'content-type': 'application/json', ...headers };
    return fetch(place.url, { method: 'POST', headers: own, body: JSON.stringify(body) });
  }
  const [method, path] = restPlace(verb, asking);
  const query = new URLSearchParams(Object.entries(asking.query ?? {}).map(([name, value]) => [name, String(value)])).toString();
  const body = restBody(place, verb, asking);
  const mediaType = place.version === '1.0' ? 'application/a2a+json' : 'application/json';
  return fetch(`${place.url}${path}${query === '' ? '' : `?${query}`}`, {
    method,
    headers: { ...(body && { 'content-type': mediaType }), ...headers },
    ...(body && { body: JSON.stringify(body) }),
  });
}

function rpcParams({ version, form }: Wire, verb: Verb, asking: Asking): Json {
  const { id, configId, push, query = {} } = asking;
  if (verb === 'send' || verb === 'stream') return messageParams({ version, form }, asking);
  if (!verb.startsWith('push')) return { ...(id !== undefined && { id }), ...query };
  if (version === '1.0') return { taskId: id, ...(configId !== undefined && { id: configId }), ...push };
  return verb === 'pushCreate'
    ? { taskId: id, pushNotificationConfig: { id: configId, ...push } }
    : { id, ...(configId !== undefined && { pushNotificationConfigId: configId }) };
}

function messageParams(wire: Wire, { message, configuration = {} }: Asking): Json {
  const { returnImmediately, historyLength } = configuration;
  const mode = wire.version === '1.0' ? { returnImmediately } : { blocking: returnImmediately !== true };
  return {
    ...(message !== undefined && { message: messageOn(wire, message) }),
    configuration: { ...(returnImmediately !== undefined && mode), ...(historyLength !== undefined && { historyLength }) },
  };
}

function messageOn({ version, form }: Wire, message: NonNullable<Asking['message']>): Json {
  const { messageId, text = 'Hello', bytes, mediaType, taskId, contextId, more = {} } = message;
  const ids = { messageId, ...(taskId !== undefined && { taskId }), ...(contextId !== undefined && { contextId }), ...more };
  if (version === '1.0') {
    const part = bytes === undefined ? { text } : { raw: bytes, mediaType };
    return { role: 'ROLE_USER', parts: [part], ...ids };
  }
  if (form === 'JSON-RPC') {
    const part = bytes === undefined ? { kind: 'text', text } : { kind: 'file', file: { bytes, mimeType: mediaType } };
    return { kind: 'message', role: 'user', parts: [part], ...ids };
  }
  const part = bytes === undefined ? { text } : { file: { fileWithBytes: bytes, mimeType: mediaType } };
  return { role: 'ROLE_USER', content: [part], ...ids };
}

/** Under the binding's URL; of 0.3 that ends in `/v1`. */
export function restPlace(verb: Verb, { id = '', configId }: Asking): readonly [method: string, path: string] {
  const configs = `/tasks/${id}/pushNotificationConfigs`;
  const places: Readonly<Record<Verb, readonly [string, string]>> = {
    send: ['POST', '/message:send'],
    stream: ['POST', '/message:stream'],
    get: ['GET', `/tasks/${id}`],
    list: ['GET', '/tasks'],
    cancel: ['POST', `/tasks/${id}:cancel`],
    subscribe: ['POST', `/tasks/${id}:subscribe`],
    pushCreate: ['POST', configs],
    pushGet: ['GET', `${configs}/${configId}`],
    pushList: ['GET', configs],
    pushDelete: ['DELETE', `${configs}/${configId}`],
    extendedCard: ['GET', '/extendedAgentCard'],
  };
  return places[verb];
}

function restBody(place: Place, verb: Verb, asking: Asking): Json | undefined {
  if (verb === 'send' || verb === 'stream') return messageParams(place, asking);
  if (verb === 'pushCreate') return { id: asking.configId, taskId: asking.id, ...asking.push };
  return verb === 'cancel' || verb === 'subscribe' ? {} : undefined;
}

/** What an answer that is no error carries. */
export function resultOf({ place, body }: Pick<Answer, 'place' | 'body'>): Json {
  return place.form === 'JSON-RPC' ? (objectAt(body, 'result') ?? {}) : body;
}

/** The task of a result or an event, however it is wrapped. */
export function taskIn(result: Json): Json | undefined {
  return objectAt(result, 'task') ?? (typeof result['id'] === 'string' && 'status' in result ? result : undefined);
}

export function messageIn(result: Json): Json | undefined {
  return objectAt(result, 'message') ?? (result['kind'] === 'message' ? result : undefined);
}

/** In one spelling: `input-required`. REST of 0.3 writes `CANCELLED`. */
export function stateIn(holder: Json | undefined): string {
  const state = objectAt(holder ?? {}, 'status')?.['state'];
  return (typeof state === 'string' ? state : '')
    .replace(/^TASK_STATE_/, '')
    .toLowerCase()
    .replaceAll('_', '-')
    .replace('cancelled', 'canceled');
}

export function objectAt(holder: Json, ...path: readonly string[]): Json | undefined {
  const value = path.reduce<unknown>(
    (now, name) => (typeof now === 'object' && now !== null ? (now as Json)[name] : undefined),
    holder,
  );
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

export function listAt(holder: Json | undefined, name: string): Json[] {
  const list = holder?.[name];
  return Array.isArray(list) ? (list as Json[]) : [];
}

/** The texts of a message or an artifact, by any version's names. */
export function textIn(holder: Json | undefined): string {
  return [...listAt(holder, 'parts'), ...listAt(holder, 'content')].map(({ text = '' }) => String(text)).join('');
}

export interface Event {
  kind: 'task' | 'message' | 'status' | 'artifact' | 'error';
  /** Of a task or a status. */
  state: string;
  /** Of an artifact. */
  text: string;
  /** As it stood in the data field. */
  raw: Json;
  /** Without the envelope of JSON-RPC. */
  result: Json;
}

export interface Stream {
  status: number;
  headers: Headers;
  next: () => Promise<Event | undefined>;
  rest: () => Promise<Event[]>;
  /** Leaves. */
  close: () => Promise<void>;
}

export async function openStream(place: Place, verb: 'stream' | 'subscribe', asking: Asking): Promise<Stream> {
  const response = await send(place, verb, { ...asking, headers: { accept: 'text/event-stream', ...asking.headers } });
  const events = eventsOf(place, response);
  const next = async (): Promise<Event | undefined> => {
    const { value, done } = await events.next();
    return done === true ? undefined : value;
  };
  return {
    status: response.status,
    headers: response.headers,
    next,
    async rest() {
      const found: Event[] = [];
      for (let event = await next(); event !== undefined; event = await next()) found.push(event);
      return found;
    },
    async close() {
      await events.return();
    },
  };
}

async function* eventsOf(place: Place, response: Response): AsyncGenerator<Event, void> {
  let text = '';
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    const blocks = (text + piece).replaceAll('\r\n', '\n').split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) yield* eventIn(place, block);
  }
}

function* eventIn(place: Place, block: string): Generator<Event, void> {
  const lines = block.split('\n').filter((line) => line.startsWith('data:'));
  if (lines.length === 0) return;
  const raw = JSON.parse(lines.map((line) => line.slice(5)).join('\n')) as Json;
  const result = resultOf({ place, body: raw });
  const of = (kind: Event['kind'], holder?: Json): Event => ({
    kind,
    state: stateIn(holder),
    text: textIn(objectAt(holder ?? {}, 'artifact')),
    raw,
    result,
  });
  const status = objectAt(result, 'statusUpdate') ?? (result['kind'] === 'status-update' ? result : undefined);
  const artifact = objectAt(result, 'artifactUpdate') ?? (result['kind'] === 'artifact-update' ? result : undefined);
  if (status !== undefined) yield of('status', status);
  else if (artifact !== undefined) yield of('artifact', artifact);
  else if (taskIn(result) !== undefined) yield of('task', taskIn(result));
  else yield of(messageIn(result) === undefined ? 'error' : 'message');
}

/** A2A 1.0.1 §5.4. */
const ERRORS = {
  TaskNotFound: { code: -32001, status: 404, grpc: 'NOT_FOUND', reason: 'TASK_NOT_FOUND' },
  TaskNotCancelable: { code: -32002, status: 400, grpc: 'FAILED_PRECONDITION', reason: 'TASK_NOT_CANCELABLE' },
  PushNotificationNotSupported: {
    code: -32003,
    status: 400,
    grpc: 'FAILED_PRECONDITION',
    reason: 'PUSH_NOTIFICATION_NOT_SUPPORTED',
  },
  UnsupportedOperation: { code: -32004, status: 400, grpc: 'FAILED_PRECONDITION', reason: 'UNSUPPORTED_OPERATION' },
  ContentTypeNotSupported: { code: -32005, status: 400, grpc: 'INVALID_ARGUMENT', reason: 'CONTENT_TYPE_NOT_SUPPORTED' },
  ExtendedAgentCardNotConfigured: {
    code: -32007,
    status: 400,
    grpc: 'FAILED_PRECONDITION',
    reason: 'EXTENDED_AGENT_CARD_NOT_CONFIGURED',
  },
  ExtensionSupportRequired: { code: -32008, status: 400, grpc: 'FAILED_PRECONDITION', reason: 'EXTENSION_SUPPORT_REQUIRED' },
  VersionNotSupported: { code: -32009, status: 400, grpc: 'FAILED_PRECONDITION', reason: 'VERSION_NOT_SUPPORTED' },
} as const;
export type ErrorName = keyof typeof ERRORS;

/** What is wrong with an answer that must be that error; empty: nothing. The version may be refused before the id was read. */
export function faultsOfError({ place, status, headers, body }: Answer, name: ErrorName): string[] {
  const wanted = ERRORS[name];
  const isRpc = place.form === 'JSON-RPC';
  const isBare = !isRpc && place.version === '0.3';
  const error = (isBare ? body : objectAt(body, 'error')) ?? {};
  const details = isRpc ? error['data'] : error['details'];
  const infos = (Array.isArray(details) ? (details as Json[]) : []).filter(({ '@type': type }) =>
    String(type).endsWith('google.rpc.ErrorInfo'),
  );
  const isJson = /^application\/(a2a\+)?json/.test(headers.get('content-type') ?? '');
  const checks: readonly (readonly [holds: boolean, fault: string])[] = [
    [isJson, `content-type ${headers.get('content-type')}`],
    [error['code'] === (isRpc || isBare ? wanted.code : wanted.status), `code ${String(error['code'])}`],
    [typeof error['message'] === 'string' && error['message'] !== '', 'no message'],
    [isRpc || status === wanted.status, `status ${status}`],
    [!isRpc || (body['jsonrpc'] === '2.0' && !('result' in body)), 'no JSON-RPC error response'],
    [!isRpc || body['id'] === RPC_ID, `id ${String(body['id'])}`],
    [isRpc || isBare || error['status'] === wanted.grpc, `status name ${String(error['status'])}`],
    [
      place.version === '0.3' || infos.some(({ reason, domain }) => reason === wanted.reason && domain === 'a2a-protocol.org'),
      `no ErrorInfo in ${JSON.stringify(details)}`,
    ],
  ];
  return checks.flatMap(([holds, fault]) => (holds ? [] : [fault]));
}
