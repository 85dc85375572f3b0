/** What a client asks of an agent: read from its path, its headers and as much of its body as must be known. */
import type { AgentView, CallVerdict, ReplicaView, TaskRecord } from '../../core/agent.ts';
import type { AgentInterface } from '../../core/agent.ts';
import { GatewayError } from '../../core/errors.ts';
import type { EdgeRequest } from '../../http/edge.ts';
import {
  type JsonObject,
  type Operation,
  type ProtocolVersion,
  isPush,
  isSend,
  isStreaming,
  operationOf,
  restCall,
  versionNamed,
  versionOfMethod,
} from '../../agents/a2a/methods.ts';
import { ProtocolError } from '../../agents/a2a/protocol.ts';
import { type CallRefs, objectOf, refsOf } from '../../agents/a2a/read.ts';
import { scanObject } from '../../lib/json-scan.ts';

/** Where a request under `/a2a` goes: to an agent by JSON-RPC, by REST (with the path beneath it), or for its card. */
export type Asked =
  | { agent: string; at: 'rpc' }
  /** `path` without 0.3's `/v1`. */
  | { agent: string; at: 'rest'; version: ProtocolVersion; path: string; below: string }
  | { agent: string; at: 'card' };

export interface AgentCall {
  form: 'rpc' | 'rest';
  version: ProtocolVersion;
  operation: Operation;
  /** As the client wrote it: echoed. */
  rpcId: unknown;
  /** JSON-RPC's parameters; of REST, what they would be, but for 0.3's body, which is another JSON. */
  params: JsonObject;
  refs: CallRefs;
  streams: boolean;
  /** The body as it came; absent where there is none. */
  bytes: Buffer | undefined;
  /** Of REST: the path beneath the agent with its query, and the method. */
  rest?: { method: string; below: string; path: string; query: URLSearchParams; body: unknown };
}

/** A call on its way: what is known of it so far. */
export interface AgentWork {
  view: AgentView;
  call: AgentCall;
  verdicts: { replica: string; verdict: CallVerdict; unreachable?: true }[];
  /** So many of them main knows already. */
  told?: number;
  /** Of the task or the context that the call belongs to. */
  record?: TaskRecord;
  replica?: ReplicaView;
  upstream?: AgentInterface;
  /** Its replica is Unhealthy, and this call finds out; until that is told. */
  trial?: true;
  /** The agent has said something that is an answer. */
  answered?: true;
  task?: string;
  context?: string;
  taskState?: string;
  messageHash?: number;
  /** The message that was answered, in the form in which the caller gets it. */
  said?: unknown;
  /** The name under which main waits to hear what came of the message. */
  claimed?: string;
  /** The message was sent before, by an earlier call. */
  repeated?: true;
  /** Came along with it, and waits for its task. */
  push?: string;
}

/** How the call is told to whoever must answer before it could be read. */
export interface CallShape {
  form: AgentCall['form'];
  version: ProtocolVersion;
  rpcId: unknown;
  streams: boolean;
}

/** Undefined: nothing of that shape lives under an agent. */
export function askedBy(path: string): Asked | undefined {
  const [, agent, below = ''] = /^(?:\/v1)?\/a2a\/([^/]+)(\/.*)?$/.exec(path) ?? [];
  if (agent === undefined) return undefined;
  if (/^\/(\.well-known\/agent(-card)?\.json)$/.test(below)) return { agent, at: 'card' };
  // The last two are names of LiteLLM's.
  if (below === '' || below === '/' || below === '/message/send' || below === '/message/stream') return { agent, at: 'rpc' };
  if (below.startsWith('/v1/')) return { agent, at: 'rest', version: '0.3', path: below.slice(3), below };
  return { agent, at: 'rest', version: '1.0', path: below, below };
}

type Stating = Pick<EdgeRequest, 'headers' | 'query'>;

function nameOfVersion({ headers, query }: Stating): string | undefined {
  const header = headers['a2a-version'];
  return typeof header === 'string' ? header : (new URLSearchParams(query).get('A2A-Version') ?? undefined);
}

/** The version that headers or query name. Throws where nobody here speaks it. */
export function statedVersion(request: Stating): ProtocolVersion | undefined {
  const named = nameOfVersion(request);
  const version = versionNamed(named);
  if (version === null) {
    throw new ProtocolError(
      -32009,
      `The protocol version ${JSON.stringify(named?.slice(0, 32))} is not supported; 1.0 and 0.3 are`,
    );
  }
  return version;
}

/** Reads a JSON-RPC request. `shape` learns what is known of it before anything can be wrong with the rest. */
export function readRpc(bytes: Buffer, request: Stating, shape: CallShape): AgentCall {
  shape.version = versionNamed(nameOfVersion(request)) ?? shape.version;
  const { id, method, params } = envelopeOf(parsed(bytes), shape);
  const version = statedVersion(request) ?? versionOfMethod(method);
  shape.version = version;
  const operation = operationOf(version, method);
  if (operation === undefined) {
    throw new ProtocolError(-32601, `A2A ${version} has no method \`${method.slice(0, 64)}\`${otherVersion(method, version)}`);
  }
  shape.streams = isStreaming(operation);
  if (params !== undefined && objectOf(params) === undefined) throw new ProtocolError(-32602, '`params` must be an object');
  return whole({ form: 'rpc', version, operation, rpcId: id, params: objectOf(params) ?? {}, bytes });
}

/** `shape` learns the id as soon as there is one that can be echoed. */
function envelopeOf(body: unknown, shape: CallShape): { id: string | number; method: string; params: unknown } {
  if (Array.isArray(body)) throw new ProtocolError(-32600, 'Batches are not part of A2A; send one request at a time');
  const { jsonrpc, id, method, params } = objectOf(body) ?? {};
  if (isId(id)) shape.rpcId = id;
  if (jsonrpc === '2.0' && typeof method === 'string' && isId(id)) return { id, method, params };
  const message = 'it needs `jsonrpc: "2.0"`, an `id` (a whole number, or a string of at most 512 characters) and a `method`';
  throw new ProtocolError(-32600, `This is no JSON-RPC 2.0 request: ${message}`);
}

/** Every event repeats it. */
const MAX_RPC_ID = 512;

/** A number with a fraction is no id (JSON-RPC 2.0 §4), and without one nobody could be answered. */
function isId(id: unknown): id is string | number {
  return (typeof id === 'string' && id.length <= MAX_RPC_ID) || (typeof id === 'number' && Number.isInteger(id));
}

function otherVersion(method: string, version: ProtocolVersion): string {
  const other = version === '1.0' ? '0.3' : '1.0';
  return operationOf(other, method) === undefined ? '' : `; it is one of ${other} (header A2A-Version)`;
}

/** Reads a REST request. Throws not_found, method_not_allowed. */
export function readRest(asked: Extract<Asked, { at: 'rest' }>, request: EdgeRequest, bytes: Buffer | undefined): AgentCall {
  const query = new URLSearchParams(request.query);
  const found = restCall(request.method, asked.path, query);
  if (found === undefined) throw new GatewayError('not_found');
  if (!('operation' in found)) throw new GatewayError('method_not_allowed');
  const body = bytes === undefined || bytes.length === 0 ? {} : objectOf(parsed(bytes));
  if (body === undefined) throw new ProtocolError(-32602, 'The body must be a JSON object');
  const { operation, params } = found;
  requireOneTask(operation, params, [body, Object.fromEntries(query)]);
  return whole({
    form: 'rest',
    version: asked.version,
    operation,
    rpcId: null,
    // What a message is stands in the body alone.
    params: isSend(operation) ? body : { ...body, ...params },
    bytes,
    rest: { method: request.method, below: asked.below, path: asked.path, query, body },
  });
}

/** Beside the path, nothing names another task than it does. */
function requireOneTask(operation: Operation, { id, taskId = id }: JsonObject, others: readonly JsonObject[]): void {
  if (isSend(operation) || taskId === undefined) return;
  const names = isPush(operation) ? ['taskId', 'task_id'] : ['id', 'taskId', 'task_id'];
  const isOther = others.some((other) => names.some((name) => other[name] !== undefined && other[name] !== taskId));
  if (isOther) throw new ProtocolError(-32602, 'Another task is named than that of the path');
}

function whole(call: Omit<AgentCall, 'refs' | 'streams'>): AgentCall {
  const { operation, params } = call;
  const refs = refsOf(operation, params);
  if (isSend(operation) && refs.messageId === undefined) {
    throw new ProtocolError(-32602, 'message.messageId is required, and has at most 512 characters');
  }
  if ((operation === 'get' || operation === 'cancel' || operation === 'subscribe') && refs.task === undefined) {
    throw new ProtocolError(-32602, 'The id of the task is missing');
  }
  return { ...call, refs, streams: isStreaming(operation) };
}

/** Bytes that two readers could understand differently are refused, as everywhere. Costs 3 µs for a message of 1 KB. */
function parsed(bytes: Buffer): unknown {
  const scan = scanObject(bytes);
  if (scan.ok) return JSON.parse(bytes.toString('utf8'));
  if (scan.reason === 'not_object') return notAnObject(bytes);
  if (scan.reason === 'invalid' || scan.reason === 'utf8') throw new ProtocolError(-32700, 'The request body is not valid JSON');
  throw new ProtocolError(-32600, 'The request body could be read in two ways');
}

function notAnObject(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new ProtocolError(-32700, 'The request body is not valid JSON');
  }
}
