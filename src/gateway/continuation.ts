/**
 * A stream that breaks goes on at another target, where the operator wants that: only plain text can be continued, by models that go on where a last message of the
 * assistant ends. The client reads one answer; a comment in the stream and the fact tell that it has two authors.
 */
import type { ChatMessage, ChatRequest } from '../core/chat.ts';
import type { AttemptFact } from '../core/exchange.ts';
import type { NanoUsd } from '../core/money.ts';
import type { StreamPart } from '../core/parts.ts';
import { listOf } from '../core/read.ts';
import { type Usage, NO_USAGE } from '../core/usage.ts';
import { CAP_NAMES } from '../ledger/request-shape.ts';
import { readNumber } from '../lib/json-scan.ts';
import { createSseParser } from '../lib/sse-parser.ts';
import type { StreamStage } from '../upstream/types.ts';
import { type ClientBody, parsedBody } from './body.ts';
import type { Exchange } from './exchange.ts';
import type { Surface } from './surface.ts';

export interface Continuation {
  /** Bytes that went to the client. */
  see: (sent: Buffer | string) => void;
  /** What the client has can be gone on with. */
  readonly possible: boolean;
  /** All text that the client has. */
  readonly text: string;
  /** How its stream began. */
  readonly start: Extract<StreamPart, { type: 'start' }> | undefined;
  /** An attempt has broken off, and the next one goes on. */
  resumed: boolean;
  /** Of the attempts that broke off. */
  usage: Usage;
  nanoUsd: NanoUsd;
  bytes: number;
}

/** Longer texts would be held in memory for the rare case. */
const MOST_TEXT = 1_000_000;
const MAX_EVENT_BYTES = 8 * 1024 * 1024;

/** Undefined: the model does not ask for it, or the request asks for more than plain text. */
export function beginContinuation({ surface, stream, resolved }: Exchange, body: ClientBody): Continuation | undefined {
  if (!stream || !resolved!.model.routing.continueOnFailure || surface.dialect === undefined || !isPlain(surface, body))
    return undefined;
  const decoder = surface.dialect.stream.decoder();
  let text = '';
  let plain = true;
  let failed = false;
  let blocks = 0;
  let start: Continuation['start'];
  const take = (part: StreamPart): void => {
    if (part.type === 'start') start = part;
    else if (part.type === 'text_delta') text += part.text;
    else if (part.type === 'error') failed = true;
    else if (part.type === 'text_start') blocks += 1;
    else if (part.type !== 'usage') plain = false;
    // What goes on is the one block that is open.
    if (blocks > 1) plain = false;
    if (text.length > MOST_TEXT) plain = false;
  };
  const parser = createSseParser({ maxEventBytes: MAX_EVENT_BYTES, onEvent: (event) => decoder.decode(event).forEach(take) });
  return {
    see: (sent) => {
      if (!plain) return;
      const before = text;
      try {
        parser.push(typeof sent === 'string' ? Buffer.from(sent) : sent);
      } catch {
        plain = false;
      }
      // What comes with the provider's own error event is held back with it.
      if (failed) text = before;
      failed = false;
    },
    get possible() {
      return plain && start !== undefined && text.trim() !== '';
    },
    get text() {
      return text;
    },
    get start() {
      return start;
    },
    resumed: false,
    usage: NO_USAGE,
    nanoUsd: 0,
    bytes: 0,
  };
}

/** Members that ask for what cannot be cut in two. */
const BINDING: Partial<Record<Surface['name'], readonly string[]>> = {
  chat: ['response_format', 'reasoning_effort', 'reasoning', 'thinking', 'logprobs', 'modalities', 'prediction'],
  messages: ['thinking', 'output_config', 'output_format', 'stop_sequences'],
};

function isPlain({ name }: Surface, { bytes, scan }: ClientBody): boolean {
  const binding = BINDING[name];
  if (binding === undefined || binding.some((member) => scan.members.has(member))) return false;
  return (readNumber(bytes, scan.members.get('n')) ?? 1) === 1;
}

/** The stage, with what it gives the client read along. */
export function readAlong({ see }: Continuation, stage: StreamStage): StreamStage {
  const seen = <Part extends Buffer | string | undefined>(part: Part): Part => {
    if (part !== undefined) see(part);
    return part;
  };
  return {
    push: (chunk) => seen(stage.push(chunk)),
    end: () => seen(stage.end()),
    fail: (error) => stage.fail(error),
    get state() {
      return stage.state;
    },
    get hasContent() {
      return stage.hasContent;
    },
    get atBoundary() {
      return stage.atBoundary;
    },
  };
}

/** How providers are told that the last message is a beginning; the others take it for one by themselves. */
const PREFIX_MARKS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  deepseek: { prefix: true },
  mistral: { prefix: true },
};
const PREFIX_PARAMS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  vllm: { continue_final_message: true, add_generation_prompt: false },
};

/** What the relayed body of the next target differs in. `type`: of its provider. Anthropic refuses a last message that ends in white space. */
export function membersToContinue(continuation: Continuation, body: ClientBody, type: string): Record<string, string> {
  const { text } = continuation;
  const { messages } = parsedBody(body);
  const beginning = { role: 'assistant', content: text.trimEnd(), ...PREFIX_MARKS[type] };
  const params = Object.entries(PREFIX_PARAMS[type] ?? {}).map(([name, value]) => [name, JSON.stringify(value)] as const);
  const caps = CAP_NAMES.flatMap((name) => {
    const cap = readNumber(body.bytes, body.scan.members.get(name));
    return cap === undefined ? [] : [[name, String(capLeft(continuation, cap))] as const];
  });
  return { messages: JSON.stringify([...listOf(messages), beginning]), ...Object.fromEntries([...params, ...caps]) };
}

export function requestToContinue(continuation: Continuation, request: ChatRequest): ChatRequest {
  const { maxOutputTokens, messages } = request;
  const beginning: ChatMessage = { role: 'assistant', content: [{ type: 'text', text: continuation.text.trimEnd() }] };
  const cap = maxOutputTokens === undefined ? {} : { maxOutputTokens: capLeft(continuation, maxOutputTokens) };
  return { ...request, ...cap, messages: [...messages, beginning] };
}

export interface Joined {
  opening: readonly StreamPart[];
  join: (part: StreamPart) => readonly StreamPart[];
}

/** The block that the client has a part of. */
const FIRST = 0;

/**
 * The parts of the next target's stream as the rest of the first one's: no second beginning, no white space twice, usage summed. The encoder they go to has been told
 * `opening` before, unheard.
 */
export function createJoin({ text, start, usage }: Continuation): Joined {
  let owed = text.slice(text.trimEnd().length);
  let textBlock: number | undefined;
  const joinText = (piece: string): string => {
    let at = 0;
    while (at < piece.length && at < owed.length && piece[at] === owed[at]) at++;
    owed = at === piece.length ? owed.slice(at) : '';
    return piece.slice(at);
  };
  const renumbered = (part: StreamPart): StreamPart => {
    if (!('block' in part)) return part;
    return { ...part, block: part.block === textBlock ? FIRST : part.block + 1 };
  };
  return {
    opening: [start!, { type: 'text_start', block: FIRST, choice: 0 }],
    join: (part) => {
      if (part.type === 'start') return [];
      if (part.type === 'usage') return [{ type: 'usage', usage: sumOf(usage, part.usage) }];
      if (part.type === 'text_start' && textBlock === undefined) {
        textBlock = part.block;
        return [];
      }
      if (part.type === 'text_delta' && part.block === textBlock) {
        const rest = joinText(part.text);
        return rest === '' ? [] : [{ ...part, block: FIRST, text: rest }];
      }
      return [renumbered(part)];
    },
  };
}

/** Each place counts what was billed there; the client gets the whole. */
function sumOf(one: Usage, other: Usage): Usage {
  const names = Object.keys(NO_USAGE) as (keyof Usage)[];
  return Object.fromEntries(names.map((name) => [name, one[name] + other[name]])) as unknown as Usage;
}

/** An attempt has broken off after the client had a part of it. */
export function breakOff(continuation: Continuation, { usage, responseBytes }: Exchange, { spend }: AttemptFact): void {
  const counted = usage ?? { ...NO_USAGE, inputTokens: spend?.inputTokens ?? 0, outputTokens: spend?.outputTokens ?? 0 };
  continuation.usage = sumOf(continuation.usage, counted);
  continuation.nanoUsd += spend?.nanoUsd ?? 0;
  continuation.bytes += responseBytes;
  continuation.resumed = true;
}

/** At the end: what all its authors used and cost. */
export function sumUp(exchange: Exchange): void {
  const { continuation, cost, usage } = exchange;
  if (continuation?.resumed !== true) return;
  if (exchange.routing !== undefined) exchange.routing.continued = true;
  exchange.usage = sumOf(continuation.usage, usage ?? NO_USAGE);
  exchange.responseBytes += continuation.bytes;
  if (cost === undefined || 'nanoUsd' in cost) exchange.cost = { nanoUsd: continuation.nanoUsd + (cost?.nanoUsd ?? 0) };
}

/** A cap, less what the client has of it already. */
function capLeft({ text }: Continuation, tokens: number): number {
  return Math.max(1, tokens - Math.ceil(text.length / CHARS_PER_TOKEN));
}
const CHARS_PER_TOKEN = 4;

/** For whoever debugs a stream: SSE clients pass comments over. */
export function continuedComment(targetId: string): string {
  return `: continued by ${targetId.replace(/[^\x20-\x7e]/g, '?')}\n\n`;
}
