/** Which operation a method or a path is, in both versions of the protocol. Sources: A2A 1.0.1 §5.3 and §9–11, A2A 0.3.0 §3.2 and §7. */

export const OPERATIONS = [
  'send',
  'stream',
  'get',
  'list',
  'cancel',
  'subscribe',
  'push_create',
  'push_get',
  'push_list',
  'push_delete',
  'extended_card',
] as const;
export type Operation = (typeof OPERATIONS)[number];
export type ProtocolVersion = '1.0' | '0.3';
export type JsonObject = Record<string, unknown>;

const METHODS: Readonly<Record<ProtocolVersion, Readonly<Record<string, Operation>>>> = {
  '1.0': {
    SendMessage: 'send',
    SendStreamingMessage: 'stream',
    GetTask: 'get',
    ListTasks: 'list',
    CancelTask: 'cancel',
    SubscribeToTask: 'subscribe',
    CreateTaskPushNotificationConfig: 'push_create',
    GetTaskPushNotificationConfig: 'push_get',
    ListTaskPushNotificationConfigs: 'push_list',
    DeleteTaskPushNotificationConfig: 'push_delete',
    GetExtendedAgentCard: 'extended_card',
  },
  '0.3': {
    'message/send': 'send',
    'message/stream': 'stream',
    'tasks/get': 'get',
    'tasks/cancel': 'cancel',
    'tasks/resubscribe': 'subscribe',
    'tasks/pushNotificationConfig/set': 'push_create',
    'tasks/pushNotificationConfig/get': 'push_get',
    'tasks/pushNotificationConfig/list': 'push_list',
    'tasks/pushNotificationConfig/delete': 'push_delete',
    'agent/getAuthenticatedExtendedCard': 'extended_card',
    'agent/authenticatedExtendedCard': 'extended_card',
  },
};

/** The operation of a JSON-RPC method; undefined: that version has no such method. */
export function operationOf(version: ProtocolVersion, method: string): Operation | undefined {
  const methods = METHODS[version];
  return Object.hasOwn(methods, method) ? methods[method] : undefined;
}

/** The first name of an operation; undefined: the version's JSON-RPC has none. */
export function methodOf(version: ProtocolVersion, operation: Operation): string | undefined {
  return Object.keys(METHODS[version]).find((method) => METHODS[version][method] === operation);
}

/** Of which version a method without any other word is: 1.0 writes PascalCase. */
export function versionOfMethod(method: string): ProtocolVersion {
  return /^[A-Z]/.test(method) ? '1.0' : '0.3';
}

/** Only major and minor count (1.0.1 §3.6). Empty or absent: nothing is said. Null: a version that nobody here speaks. */
export function versionNamed(text: string | undefined): ProtocolVersion | undefined | null {
  const asked = text?.trim() ?? '';
  if (asked === '') return undefined;
  const [, major, minor] = /^(\d{1,3})\.(\d{1,3})(?:\.\d{1,5})?$/.exec(asked) ?? [];
  if (major === '1' && minor === '0') return '1.0';
  return major === '0' && (minor === '3' || minor === '2') ? '0.3' : null;
}

export function isSend(operation: Operation): boolean {
  return operation === 'send' || operation === 'stream';
}

export function isStreaming(operation: Operation): boolean {
  return operation === 'stream' || operation === 'subscribe';
}

export function isPush(operation: Operation): boolean {
  return operation.startsWith('push_');
}

/** A REST call's operation and what its path and query say, as the parameters that JSON-RPC 1.0 has for it. */
export interface RestCall {
  operation: Operation;
  /** Beside the body. */
  params: JsonObject;
}

type RestRow = readonly [method: 'GET' | 'POST' | 'DELETE', path: RegExp, operation: Operation];

/** Subscribing: the text of 1.0 says POST, its annotations say GET; clients do either. */
const REST: readonly RestRow[] = [
  ['POST', /^\/message:send$/, 'send'],
  ['POST', /^\/message:stream$/, 'stream'],
  ['GET', /^\/tasks$/, 'list'],
  // Ids may hold colons; the last one is the verb's.
  ['POST', /^\/tasks\/(?<id>[^/]+):cancel$/, 'cancel'],
  ['POST', /^\/tasks\/(?<id>[^/]+):subscribe$/, 'subscribe'],
  ['GET', /^\/tasks\/(?<id>[^/]+):subscribe$/, 'subscribe'],
  ['GET', /^\/tasks\/(?<id>[^/]+)$/, 'get'],
  ['POST', /^\/tasks\/(?<taskId>[^/]+)\/pushNotificationConfigs$/, 'push_create'],
  ['GET', /^\/tasks\/(?<taskId>[^/]+)\/pushNotificationConfigs$/, 'push_list'],
  ['GET', /^\/tasks\/(?<taskId>[^/]+)\/pushNotificationConfigs\/(?<id>[^/]+)$/, 'push_get'],
  ['DELETE', /^\/tasks\/(?<taskId>[^/]+)\/pushNotificationConfigs\/(?<id>[^/]+)$/, 'push_delete'],
  ['GET', /^\/(?:extendedAgentCard|card)$/, 'extended_card'],
];

/** `path`: beneath the agent, without 0.3's `/v1`. Undefined: there is nothing at it; a list: with other methods. */
export function restCall(method: string, path: string, query: URLSearchParams): RestCall | readonly string[] | undefined {
  const fitting = REST.filter(([, pattern]) => pattern.test(path));
  const row = fitting.find(([wanted]) => wanted === method);
  if (row === undefined) return fitting.length === 0 ? undefined : fitting.map(([wanted]) => wanted);
  const named = Object.entries(row[1].exec(path)?.groups ?? {}).map(([name, raw]) => [name, decodeURIComponent(raw)]);
  return { operation: row[2], params: { ...typedQuery(query), ...(Object.fromEntries(named) as JsonObject) } };
}

const NUMBERS = new Set(['pageSize', 'historyLength']);
const BOOLEANS = new Set(['includeArtifacts']);

function typedQuery(query: URLSearchParams): JsonObject {
  const typed = [...query].map(([name, value]): [string, unknown] => {
    if (NUMBERS.has(name) && /^\d{1,9}$/.test(value)) return [name, Number(value)];
    return [name, BOOLEANS.has(name) ? value === 'true' : value];
  });
  return Object.fromEntries(typed.filter(([name]) => name.toLowerCase() !== 'a2a-version'));
}
