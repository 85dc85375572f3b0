/** What a gateway must know of messages, tasks and events, read from the JSON of either version. Nothing is validated that is only passed on. */
import type { JsonObject, Operation } from './methods.ts';

/** What a call says of the conversation that it belongs to. */
export interface CallRefs {
  messageId?: string;
  /** Of the message, or of the operation. */
  task?: string;
  context?: string;
  /** Other tasks that the message tells of. */
  mentions: readonly string[];
  /** Characters of its text parts. */
  textLength: number;
  hasFiles: boolean;
  /** It asks for push notifications along with it. */
  wantsPush: boolean;
}

/** What an answer or an event tells of a task. */
export interface Seen {
  kind: 'task' | 'message' | 'status' | 'artifact';
  task?: string;
  context?: string;
  /** As 0.3 writes it. */
  state?: string;
}

/** `params` as JSON-RPC of either version has them. */
export function refsOf(operation: Operation, params: JsonObject): CallRefs {
  if (operation !== 'send' && operation !== 'stream') {
    const id = operation.startsWith('push_') ? (params.taskId ?? params.id) : params.id;
    return { ...text('task', taskIdOf(id)), mentions: [], textLength: 0, hasFiles: false, wantsPush: false };
  }
  const message = objectOf(params.message) ?? objectOf(params.request) ?? {};
  const configuration = objectOf(params.configuration) ?? {};
  const parts = [...listOf(message.parts), ...listOf(message.content)].map((part) => objectOf(part) ?? {});
  return {
    ...text('messageId', message.messageId),
    ...text('task', message.taskId),
    ...text('context', message.contextId),
    mentions: listOf(message.referenceTaskIds).filter((each) => typeof each === 'string'),
    textLength: parts.reduce((sum, part) => sum + (typeof part.text === 'string' ? part.text.length : 0), 0),
    hasFiles: parts.some((part) => 'file' in part || 'raw' in part || 'url' in part),
    wantsPush: Object.keys(configuration).some((name) => PUSH_MEMBER.test(name) && isThere(configuration[name])),
  };
}

/** In all versions, and by their names in protobuf. */
export const PUSH_MEMBER = /^(task_?)?push_?notification(_?config)?$/i;
const MAX_MENTIONS = 64;
/** Names of protobuf: whoever reads its JSON takes them as well as the names that we read. */
const OTHER_NAMES = ['message_id', 'task_id', 'context_id', 'reference_task_ids'];

/**
 * What an agent could read otherwise than we do, and so find another task than the one whose owner was looked up: libraries for protobuf turn numbers and lists into text,
 * and take members by either name. Answers the complaint.
 */
export function unclearIn({ message, request }: JsonObject): string | undefined {
  if (isThere(message) && isThere(request)) return 'there are two messages';
  const told = objectOf(message) ?? objectOf(request) ?? {};
  const other = OTHER_NAMES.find((name) => name in told);
  if (other !== undefined) return `message.${other}: write it in camelCase`;
  const strange = ['taskId', 'contextId'].find((name) => isThere(told[name]) && !isId(told[name]));
  if (strange !== undefined) return `message.${strange} must be a text of at most ${MAX_ID} characters`;
  const { referenceTaskIds: mentions = null } = told;
  const areIds = Array.isArray(mentions) && mentions.length <= MAX_MENTIONS && mentions.every(isId);
  return mentions === null || areIds ? undefined : `message.referenceTaskIds must be a list of at most ${MAX_MENTIONS} ids`;
}

/** Protobuf has no other word for what is absent than null and the empty text. */
function isThere(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

/** REST of 0.3 writes `tasks/{id}`. */
function taskIdOf(id: unknown): unknown {
  return typeof id === 'string' ? id.replace(/^tasks\//, '') : id;
}

/** The result of a call, or one event of a stream; undefined: none that tells of a task. */
export function seenIn(result: unknown): Seen | undefined {
  const whole = objectOf(result);
  if (whole === undefined) return undefined;
  for (const [member, kind] of WRAPPED) {
    const inner = objectOf(whole[member]);
    if (inner !== undefined) return seenAs(kind, inner);
  }
  if (typeof whole.kind === 'string' && Object.hasOwn(BARE, whole.kind))
    return seenAs(BARE[whole.kind as keyof typeof BARE], whole);
  return 'status' in whole && typeof whole.id === 'string' ? seenAs('task', whole) : undefined;
}

const WRAPPED = [
  ['task', 'task'],
  ['message', 'message'],
  ['msg', 'message'],
  ['statusUpdate', 'status'],
  ['artifactUpdate', 'artifact'],
] as const;
const BARE = { task: 'task', message: 'message', 'status-update': 'status', 'artifact-update': 'artifact' } as const;

function seenAs(kind: Seen['kind'], value: JsonObject): Seen {
  const state = stateNamed(objectOf(value.status)?.state);
  return {
    kind,
    ...text('task', kind === 'task' ? value.id : value.taskId),
    ...text('context', value.contextId),
    ...(state !== undefined && { state }),
  };
}

/** `TASK_STATE_INPUT_REQUIRED` and `input-required` are the same. */
export function stateNamed(state: unknown): string | undefined {
  // No state is longer; what is would only fill the books.
  if (typeof state !== 'string' || state.length > MAX_STATE) return undefined;
  return state
    .replace(/^TASK_STATE_/, '')
    .toLowerCase()
    .replaceAll('_', '-');
}

const MAX_STATE = 64;
const TERMINAL = new Set(['completed', 'failed', 'canceled', 'rejected']);
const INTERRUPTED = new Set(['input-required', 'auth-required']);

export function isTerminal(state: string | undefined): boolean {
  return state !== undefined && TERMINAL.has(state);
}

/** Nothing more comes before the client says something. */
export function endsStream({ kind, state }: Seen): boolean {
  return kind === 'message' || isTerminal(state) || (state !== undefined && INTERRUPTED.has(state));
}

export function objectOf(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Ids are opaque, but no id is longer than a journal's frame bears. */
const MAX_ID = 512;

/** What climbs out of a path is none. */
function isId(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_ID && value !== '.' && value !== '..';
}

function text<Name extends string>(name: Name, value: unknown): { [Key in Name]?: string } {
  return (isId(value) ? { [name]: value } : {}) as {
    [Key in Name]?: string;
  };
}
