/**
 * Neutral parts as Anthropic's stream for a client.
 *
 * Anthropic sends one content block after the other, while neutral blocks may interleave (OpenAI streams several tool calls at once and ends
 * nothing before the finish). One block streams; what arrives for others waits in the order of their starts, so that no piece is lost:
 * - text and reasoning give way as soon as another block starts, so that a long tool call is not held back behind a text nobody ended;
 *   a late piece of them opens a new block at the end of the queue;
 * - a tool call gives way when its arguments are complete JSON, else when it ends.
 */
import type { FinishReason, NativePart, Warning } from '../../core/chat.ts';
import type { StreamPart } from '../../core/parts.ts';
import type { Usage } from '../../core/usage.ts';
import { isObject } from '../../core/read.ts';
import type { JsonObject, ReplyContext, StreamEncoder } from '../dialect.ts';
import { nativeName } from './content-encode.ts';
import { error, failureEvent } from './error.ts';
import { type Held, encodeStopReason } from './response.ts';
import { encodeStreamUsage, encodeUsage } from './usage.ts';
import { ANNOTATION, DIALECT, sse } from './wire.ts';

type Kind = 'text' | 'reasoning' | 'tool_call' | 'native';

/** A block of ours: the active one, or one that waits. */
interface Waiting {
  kind: Kind;
  start: JsonObject;
  /** Deltas that arrived before its turn. */
  deltas: JsonObject[];
  ended: boolean;
  /** Arguments so far, of a tool call. */
  json: string;
}

interface EncoderState {
  context: ReplyContext;
  warn: (warning: Warning) => void;
  /** Blocks by the neutral number; a block of another choice than the first maps to undefined. */
  blocks: Map<number, Waiting | undefined>;
  /** The active block is the first. */
  queue: Waiting[];
  started: boolean;
  /** Index of the active block on the wire. */
  index: number;
  usage: Usage | undefined;
  finish: { reason: FinishReason; stopSequence?: string } | undefined;
  held: Held;
  over: boolean;
}

type PartOf<Type extends StreamPart['type']> = Extract<StreamPart, { type: Type }>;
type Encode<Type extends StreamPart['type']> = (state: EncoderState, part: PartOf<Type>) => string;

const ENCODE: { [Type in StreamPart['type']]: Encode<Type> } = {
  start: (state, part) => sse('message_start', { type: 'message_start', message: openMessage(part, state) }),
  text_start: (state, part) => open(state, part, 'text', { type: 'text', text: '' }),
  text_delta: (state, part) => delta(state, part.block, { type: 'text_delta', text: part.text }),
  text_end: end,
  reasoning_start: (state, part) =>
    open(
      state,
      part,
      'reasoning',
      part.redacted === undefined
        ? { type: 'thinking', thinking: '', signature: '' }
        : { type: 'redacted_thinking', data: part.redacted },
    ),
  reasoning_delta: (state, part) => delta(state, part.block, { type: 'thinking_delta', thinking: part.text }),
  reasoning_signature: (state, part) => delta(state, part.block, { type: 'signature_delta', signature: part.signature }),
  reasoning_end: end,
  tool_call_start: (state, part) => {
    if (part.choice === 0) state.held.toolCalls = true;
    return open(state, part, 'tool_call', { type: 'tool_use', id: part.id, name: part.name, input: {} });
  },
  tool_call_delta: (state, part) => delta(state, part.block, { type: 'input_json_delta', partial_json: part.arguments }),
  tool_call_end: end,
  refusal_start: (state, part) => {
    if (part.choice === 0) state.held.refusal = true;
    return open(state, part, 'text', { type: 'text', text: '' });
  },
  refusal_delta: (state, part) => delta(state, part.block, { type: 'text_delta', text: part.text }),
  refusal_end: end,
  native: (state, part) => (part.choice === 0 ? native(state, part.part) : ''),
  usage: (state, part) => {
    state.usage = part.usage;
    return '';
  },
  finish: (state, part) => {
    if (part.choice === 0) state.finish = part;
    return '';
  },
  end: (state) => {
    state.over = true;
    return drain(state) + ending(state) + sse('message_stop', { type: 'message_stop' });
  },
  error: (state, part) => {
    state.over = true;
    return failureEvent(part.error);
  },
};

/** An encoder for one stream. After `end`, `error` or `fail` it is silent. */
export function messagesEncoder(context: ReplyContext, warn: (warning: Warning) => void): StreamEncoder {
  const state: EncoderState = {
    context,
    warn,
    blocks: new Map(),
    queue: [],
    started: false,
    index: 0,
    usage: undefined,
    finish: undefined,
    held: { toolCalls: false, refusal: false },
    over: false,
  };
  return {
    encode: (part) => (state.over ? '' : (ENCODE[part.type] as (state: EncoderState, part: StreamPart) => string)(state, part)),
    fail: (cause) => {
      if (state.over) return '';
      state.over = true;
      return error.event(cause, context.requestId);
    },
  };
}

function openMessage(part: PartOf<'start'>, { context, usage }: EncoderState): JsonObject {
  return {
    id: part.id || context.requestId,
    type: 'message',
    role: 'assistant',
    model: part.model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: encodeUsage(usage),
  };
}

function open(state: EncoderState, part: { block: number; choice: number }, kind: Kind, start: JsonObject): string {
  if (part.choice !== 0) {
    state.blocks.set(part.block, undefined);
    state.warn({ param: 'n', reason: 'only the first choice can be told' });
    return '';
  }
  const waiting: Waiting = { kind, start, deltas: [], ended: false, json: '' };
  state.blocks.set(part.block, waiting);
  return enqueue(state, waiting);
}

function enqueue(state: EncoderState, waiting: Waiting): string {
  state.queue.push(waiting);
  return advance(state);
}

function givesWay(active: Waiting): boolean {
  return active.kind !== 'tool_call' || (active.json !== '' && isWhole(active.json));
}

function isWhole(json: string): boolean {
  try {
    return isObject(JSON.parse(json));
  } catch {
    return false;
  }
}

function delta(state: EncoderState, block: number, value: JsonObject): string {
  const waiting = state.blocks.get(block);
  if (waiting === undefined) return '';
  if (waiting.ended) return late(state, block, waiting, value);
  if (typeof value.partial_json === 'string') waiting.json += value.partial_json;
  if (waiting === state.queue[0] && state.started) return deltaEvent(state, value);
  waiting.deltas.push(value);
  return '';
}

/** A piece of a block that has given way: a new block of the same kind at the end. Of complete arguments only white space can be left. */
function late(state: EncoderState, block: number, before: Waiting, value: JsonObject): string {
  if (before.kind === 'tool_call') return '';
  // Reasoning with its signature is ended by its own end, never by giving way, in every dialect that signs.
  const again: Waiting = { kind: before.kind, start: before.start, deltas: [value], ended: false, json: '' };
  state.blocks.set(block, again);
  return enqueue(state, again);
}

function end(state: EncoderState, { block }: { block: number }): string {
  const waiting = state.blocks.get(block);
  if (waiting === undefined) return '';
  waiting.ended = true;
  // A text's citations may still follow as an annotation: its stop waits for the next part.
  return waiting.kind === 'text' ? '' : advance(state);
}

/** A block whole; or, after a text, the citations that belong to it. */
function native(state: EncoderState, part: NativePart): string {
  const { dialect, value } = part;
  if (dialect !== DIALECT) {
    state.warn({ param: 'content', reason: `${nativeName(part)} of another API is left out` });
    return '';
  }
  if (value.type === ANNOTATION) return annotate(state, isObject(value.fields) ? value.fields.citations : undefined);
  const { input, ...start } = value;
  const hasInput = isObject(input);
  return enqueue(state, {
    kind: 'native',
    start: hasInput ? { ...start, input: {} } : start,
    deltas: hasInput ? [{ type: 'input_json_delta', partial_json: JSON.stringify(input) }] : [],
    ended: true,
    json: '',
  });
}

function annotate(state: EncoderState, citations: unknown): string {
  const last = state.queue.at(-1);
  if (!Array.isArray(citations) || last?.kind !== 'text') return '';
  const values = citations.map((citation: unknown) => ({ type: 'citations_delta', citation }));
  if (last === state.queue[0] && state.started) return values.map((value) => deltaEvent(state, value)).join('');
  last.deltas.push(...values);
  return '';
}

/** Starts the first of the queue, and stops those that have ended or give way. */
function advance(state: EncoderState): string {
  let out = '';
  for (let active = state.queue[0]; active !== undefined; active = state.queue[0]) {
    if (!state.started) out += start(state, active);
    const alone = state.queue.length === 1;
    if (!alone && givesWay(active)) active.ended = true;
    const citationsMayFollow = alone && active.kind === 'text';
    if (!active.ended || citationsMayFollow) return out;
    out += stop(state);
  }
  return out;
}

function drain(state: EncoderState): string {
  let out = '';
  for (let waiting = state.queue[0]; waiting !== undefined; waiting = state.queue[0]) {
    if (!state.started) out += start(state, waiting);
    out += stop(state);
  }
  return out;
}

function start(state: EncoderState, waiting: Waiting): string {
  state.started = true;
  const event = { type: 'content_block_start', index: state.index, content_block: waiting.start };
  return sse('content_block_start', event) + waiting.deltas.map((value) => deltaEvent(state, value)).join('');
}

function stop(state: EncoderState): string {
  const event = sse('content_block_stop', { type: 'content_block_stop', index: state.index });
  state.queue.shift();
  state.started = false;
  state.index += 1;
  return event;
}

function deltaEvent(state: EncoderState, value: JsonObject): string {
  return sse('content_block_delta', { type: 'content_block_delta', index: state.index, delta: value });
}

function ending({ finish, usage, held }: EncoderState): string {
  return sse('message_delta', {
    type: 'message_delta',
    delta: { stop_reason: encodeStopReason(finish?.reason ?? 'unknown', held), stop_sequence: finish?.stopSequence ?? null },
    usage: encodeStreamUsage(usage),
  });
}
