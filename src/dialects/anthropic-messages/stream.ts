/**
 * A provider's stream as neutral parts: one handler per event type and per kind of delta.
 * `finish` and `end` come with `message_stop`: a stream without it is not whole, even after its `message_delta`.
 */
import type { StreamPart } from '../../core/parts.ts';
import { badResponse, isObject, textOf } from '../../core/read.ts';
import type { SseEvent } from '../../lib/sse-parser.ts';
import type { JsonObject, StreamDecoder } from '../dialect.ts';
import { annotation, callerOf, native } from './content-decode.ts';
import { decodeFailure } from './error.ts';
import { decodeStopReason, refusalText, serviceTierOf } from './response.ts';
import { decodeUsage, mergeUsage } from './usage.ts';
import { entry, inputOf } from './wire.ts';

type Kind = 'text' | 'reasoning' | 'tool_call' | 'native';

interface OpenBlock {
  kind: Kind;
  /** Our number, unique in the stream; Anthropic's `index` is not trusted to be. */
  block: number;
  /** The block as `content_block_start` gave it. */
  start: JsonObject;
  /** Fields gathered from deltas: citations of a text, anything of a native block. */
  gathered: JsonObject;
  /** Pieces of the JSON of a tool's input. */
  json: string[];
  signature: string;
}

interface DecoderState {
  phase: 'before' | 'open' | 'over';
  blocks: Map<number, OpenBlock>;
  nextBlock: number;
  usage: JsonObject | undefined;
  /** The fields of `message_delta.delta` so far: stop_reason, stop_sequence, stop_details. */
  ending: JsonObject;
}

type Handle = (state: DecoderState, data: JsonObject) => StreamPart[];

/** Unknown events (and `ping`) mean nothing to us, as the API's versioning policy asks of clients. */
const EVENTS: Readonly<Record<string, Handle>> = {
  message_start: (state, data) => {
    if (state.phase !== 'before') throw badResponse('The upstream began its message twice');
    state.phase = 'open';
    const message = isObject(data.message) ? data.message : {};
    const serviceTier = serviceTierOf(message.usage);
    return [
      {
        type: 'start',
        id: textOf(message.id),
        model: textOf(message.model),
        createdS: 0,
        ...(serviceTier !== undefined && { serviceTier }),
      },
      ...account(state, message.usage),
    ];
  },
  content_block_start: (state, data) => {
    const start = isObject(data.content_block) ? data.content_block : {};
    const index = indexOf(data);
    if (state.blocks.has(index)) throw badResponse(`The upstream began its content block ${index} twice`);
    const kind = entry(KINDS, textOf(start.type)) ?? 'native';
    const opened: OpenBlock = { kind, block: state.nextBlock, start, gathered: {}, json: [], signature: textOf(start.signature) };
    state.nextBlock += 1;
    state.blocks.set(index, opened);
    return OPEN[kind](opened);
  },
  content_block_delta: (state, data) => {
    const open = state.blocks.get(indexOf(data));
    if (open === undefined) throw badResponse('The upstream sent a delta for a content block that is not open');
    return isObject(data.delta) ? deltaOf(open, data.delta) : [];
  },
  content_block_stop: (state, data) => {
    const open = state.blocks.get(indexOf(data));
    state.blocks.delete(indexOf(data));
    return open === undefined ? [] : CLOSE[open.kind](open);
  },
  message_delta: (state, data) => {
    if (isObject(data.delta)) Object.assign(state.ending, data.delta);
    return account(state, data.usage);
  },
  message_stop: (state) => {
    const closing = closeAll(state);
    state.phase = 'over';
    return [...closing, ...refusalBlock(state), finishOf(state.ending), { type: 'end' }];
  },
  error: (state, data) => {
    state.phase = 'over';
    return [{ type: 'error', error: decodeFailure(200, data) }];
  },
};

/** Only these may come before `message_start`. */
const ANY_TIME = new Set(['message_start', 'error']);

const KINDS: Readonly<Record<string, Kind>> = {
  text: 'text',
  thinking: 'reasoning',
  redacted_thinking: 'reasoning',
  tool_use: 'tool_call',
};

const OPEN: Readonly<Record<Kind, (open: OpenBlock) => StreamPart[]>> = {
  text: ({ block, start }) => {
    return [{ type: 'text_start', block, choice: 0 }, ...textDelta(block, start.text)];
  },
  reasoning: ({ block, start }) => {
    const redacted = start.type === 'redacted_thinking' ? textOf(start.data) : undefined;
    return [
      { type: 'reasoning_start', block, choice: 0, ...(redacted !== undefined && { redacted }) },
      ...reasoningDelta(block, start.thinking),
    ];
  },
  tool_call: ({ block, start }) => [
    { type: 'tool_call_start', block, choice: 0, id: textOf(start.id), name: textOf(start.name) },
  ],
  native: () => [],
};

const CLOSE: Readonly<Record<Kind, (open: OpenBlock) => StreamPart[]>> = {
  text: ({ block, start, gathered }) => [
    { type: 'text_end', block },
    ...annotated({ citations: gathered.citations ?? start.citations }),
  ],
  reasoning: ({ block, signature }) => [
    ...(signature === '' ? [] : [{ type: 'reasoning_signature' as const, block, signature }]),
    { type: 'reasoning_end', block },
  ],
  tool_call: ({ block, start, json }) => [
    // A call without arguments has no deltas, and some imitators put all arguments into the start.
    ...(json.length > 0
      ? []
      : [{ type: 'tool_call_delta' as const, block, arguments: JSON.stringify(isObject(start.input) ? start.input : {}) }]),
    { type: 'tool_call_end', block },
    ...annotated({ caller: callerOf(start), toolset_name: start.toolset_name }),
  ],
  native: ({ start, gathered, json }) => {
    const input = json.length === 0 ? {} : { input: inputOf(json.join('')) };
    return [{ type: 'native', choice: 0, part: native({ ...start, ...gathered, ...input }) }];
  },
};

/** Deltas by their type; each says which kind of block it may stand in. */
const DELTAS: Readonly<Record<string, (open: OpenBlock, delta: JsonObject) => StreamPart[]>> = {
  text_delta: (open, delta) => textDelta(blockOf(open, 'text'), delta.text),
  thinking_delta: (open, delta) => reasoningDelta(blockOf(open, 'reasoning'), delta.thinking),
  signature_delta: (open, delta) => {
    open.signature += textOf(delta.signature);
    return [];
  },
  input_json_delta: (open, delta) => {
    const piece = textOf(delta.partial_json);
    if (piece === '') return [];
    open.json.push(piece);
    return [{ type: 'tool_call_delta', block: blockOf(open, 'tool_call'), arguments: piece }];
  },
  citations_delta: (open, delta) => {
    const before = Array.isArray(open.gathered.citations) ? open.gathered.citations : [];
    open.gathered.citations = [...before, delta.citation];
    return [];
  },
};

/** A decoder for one stream. After `error` or `message_stop` whatever still comes is ignored. */
export function messagesDecoder(): StreamDecoder {
  const state: DecoderState = { phase: 'before', blocks: new Map(), nextBlock: 0, usage: undefined, ending: {} };
  return {
    decode: (event) => decodeEvent(state, event),
    finish: () => {
      const closing = state.phase === 'open' ? closeAll(state) : [];
      state.phase = 'over';
      return closing;
    },
  };
}

function decodeEvent(state: DecoderState, event: SseEvent): StreamPart[] {
  // Imitators end with OpenAI's `[DONE]`.
  if (state.phase === 'over' || event.data === '' || event.data === '[DONE]') return [];
  const data = parse(event.data);
  const type = typeof data.type === 'string' ? data.type : event.event;
  const handle = entry(EVENTS, type);
  if (handle === undefined) return [];
  if (state.phase === 'before' && !ANY_TIME.has(type)) throw badResponse('The upstream sent content before its message began');
  return handle(state, data);
}

function parse(data: string): JsonObject {
  try {
    const parsed: unknown = JSON.parse(data);
    if (isObject(parsed)) return parsed;
  } catch (cause) {
    throw badResponse('The upstream sent a stream event that is not JSON', cause);
  }
  throw badResponse('The upstream sent a stream event that is not an object');
}

function deltaOf(open: OpenBlock, delta: JsonObject): StreamPart[] {
  if (open.kind !== 'native') return entry(DELTAS, textOf(delta.type))?.(open, delta) ?? [];
  if (delta.type === 'input_json_delta') open.json.push(textOf(delta.partial_json));
  else gather(open.gathered, delta);
  return [];
}

/** A native block's own deltas: text grows, everything else is replaced. */
function gather(into: JsonObject, delta: JsonObject): void {
  for (const [name, value] of Object.entries(delta)) {
    const before = into[name];
    if (name !== 'type') into[name] = typeof before === 'string' && typeof value === 'string' ? before + value : value;
  }
}

function blockOf(open: OpenBlock, kind: Kind): number {
  if (open.kind !== kind) throw badResponse(`The upstream sent a ${kind} delta inside another kind of block`);
  return open.block;
}

function indexOf(data: JsonObject): number {
  if (typeof data.index === 'number') return data.index;
  throw badResponse('The upstream sent a content block without an index');
}

function textDelta(block: number, text: unknown): StreamPart[] {
  return typeof text === 'string' && text !== '' ? [{ type: 'text_delta', block, text }] : [];
}

function reasoningDelta(block: number, text: unknown): StreamPart[] {
  return typeof text === 'string' && text !== '' ? [{ type: 'reasoning_delta', block, text }] : [];
}

function annotated(fields: JsonObject): StreamPart[] {
  return annotation(fields).map((part) => ({ type: 'native', choice: 0, part }));
}

function account(state: DecoderState, raw: unknown): StreamPart[] {
  if (!isObject(raw)) return [];
  state.usage = mergeUsage(state.usage, raw);
  const usage = decodeUsage(state.usage);
  return usage === undefined ? [] : [{ type: 'usage', usage }];
}

function closeAll(state: DecoderState): StreamPart[] {
  const open = [...state.blocks.values()];
  state.blocks.clear();
  return open.flatMap((block) => CLOSE[block.kind](block));
}

function refusalBlock(state: DecoderState): StreamPart[] {
  const text = refusalText(state.ending);
  if (text === undefined) return [];
  const block = state.nextBlock;
  return [
    { type: 'refusal_start', block, choice: 0 },
    { type: 'refusal_delta', block, text },
    { type: 'refusal_end', block },
  ];
}

function finishOf(ending: JsonObject): StreamPart {
  const stopSequence = typeof ending.stop_sequence === 'string' ? { stopSequence: ending.stop_sequence } : {};
  return { type: 'finish', choice: 0, reason: decodeStopReason(ending.stop_reason), ...stopSequence };
}
