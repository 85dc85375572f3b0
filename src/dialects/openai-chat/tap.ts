/**
 * Watches a relayed stream without parsing it.
 *
 * Every chunk is parsed until the first content and the model are known, and again after the first finish. In between, which is nearly the whole
 * stream, a chunk costs two searches for bytes: it is dull if its usage and its finish_reason are null, or absent and no error stands in it.
 * Measured for 330 bytes (Node 26.10): 0.4 µs, 0.9 µs where `usage: null` is taken out, where JSON.parse alone takes 2.3 µs.
 *
 * Why bytes can be trusted: inside JSON text a quote is escaped, so `usage"` followed by a colon is the end of a key, whatever the content says;
 * and a quote that opens a key never follows a backslash.
 */
import { type Json, isObject, listOf, objectOf } from '../../core/read.ts';
import { type Findings, type StreamTap, noFindings } from '../../core/tap.ts';
import { parseSseEvent } from '../../lib/sse-parser.ts';
import type { TapOptions } from '../dialect.ts';
import { skipBlank, withoutNullUsage } from './cut.ts';
import { failureIn } from './error.ts';
import { finishIn, usageOf, wordOf } from './usage.ts';
import { readAnnotations } from './wire.ts';

// Without their opening quote, since searches skip from one occurrence of the first byte to the next, and chunks are full of quotes.
const USAGE = Buffer.from('usage"');
const REASON = Buffer.from('_reason"');
const ERROR = Buffer.from('rror"');

const LETTER_D = 0x64;
const LETTER_N = 0x6e;
const COLON = 0x3a;

export function openaiChatTap({ stripUsage }: TapOptions): StreamTap {
  const seen = noFindings();
  return Object.assign(seen, {
    see(event: Buffer): boolean | Buffer {
      if (seen.state !== 'open') return true;
      const usageAt = keyIn(event, USAGE);
      if (!isDull(seen, event, usageAt)) {
        const chunk = readChunk(seen, event);
        if (chunk !== undefined) learn(seen, chunk);
        if (stripUsage && chunk !== undefined && isUsageOnly(chunk)) return false;
      }
      return stripUsage && usageAt !== -1 ? withoutNullUsage(event, usageAt) : true;
    },
    isDull: (events: Buffer) => isSettled(seen) && seen.state === 'open' && !TELLING.test(events.toString('latin1')),
  });
}

/** Where the first key that ends in `ending` has these bytes; -1 where there is none. */
function keyIn(event: Buffer, ending: Buffer): number {
  for (let at = event.indexOf(ending); at !== -1; at = event.indexOf(ending, at + 1)) {
    if (event[skipBlank(event, at + ending.length)] === COLON) return at;
  }
  return -1;
}

/** The first byte of the value of a key found by `keyIn`. */
function valueOf(event: Buffer, keyAt: number, ending: Buffer): number | undefined {
  return event[skipBlank(event, skipBlank(event, keyAt + ending.length) + 1)];
}

/** An error comes without a finish_reason, or with one that is no null (OpenRouter). */
function isDull(seen: Findings, event: Buffer, usageAt: number): boolean {
  if (!isSettled(seen) || event[0] !== LETTER_D) return false;
  if (usageAt !== -1 && valueOf(event, usageAt, USAGE) !== LETTER_N) return false;
  const reasonAt = keyIn(event, REASON);
  if (reasonAt !== -1) return valueOf(event, reasonAt, REASON) === LETTER_N;
  // `data: [DONE]` and all that is too short to be a chunk.
  return event.length > 64 && event.indexOf(ERROR) === -1;
}

function isSettled(seen: Findings): boolean {
  return seen.sawContent && seen.model !== undefined && seen.finish === undefined;
}

/**
 * What one of several chunks may hold that is worth a look: usage, an error, the end, a finish_reason that is not null. A compiled expression goes over
 * the text once: 0.2 µs for one chunk of 190 bytes and 0.8 µs for ten, where looking for each word in turn took 0.65 µs and 2.2 µs.
 */
const TELLING = /usage"|error["\n]|DONE\]|reason"(?!: ?null)/;

/** The event's JSON; undefined for comments, for the end marker, and for what is no JSON, which is the client's to judge. */
function readChunk(seen: Findings, bytes: Buffer): Json | undefined {
  const { event: name, data } = parseSseEvent(bytes) ?? { event: '', data: '' };
  if (data.startsWith('[DONE]')) {
    seen.state = 'done';
    return undefined;
  }
  const chunk = parsed(data);
  const failure = chunk && (failureIn(chunk) ?? (name === 'error' ? failureIn({ error: chunk }) : undefined));
  if (failure !== undefined) {
    seen.state = 'error';
    seen.failure = failure;
  }
  return chunk;
}

function parsed(data: string): Json | undefined {
  if (!data.startsWith('{')) return undefined;
  try {
    const chunk: unknown = JSON.parse(data);
    return isObject(chunk) ? chunk : undefined;
  } catch {
    return undefined;
  }
}

function learn(seen: Findings, chunk: Json): void {
  seen.usage = usageOf(chunk) ?? seen.usage;
  seen.finish ??= finishIn(chunk);
  seen.model ??= wordOf(chunk.model);
  seen.sawContent ||= listOf(chunk.choices).some((choice) => hasContent(objectOf(choice.delta)));
}

const CONTENT_MEMBERS = [
  'content',
  'reasoning_content',
  'reasoning',
  'reasoning_details',
  'refusal',
  'tool_calls',
  'function_call',
];

function hasContent(delta: Json): boolean {
  const said = CONTENT_MEMBERS.some((name) => {
    const value = delta[name];
    return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null && value !== '';
  });
  return said || readAnnotations(delta).length > 0;
}

/** The chunk that was only sent because usage was asked for. */
function isUsageOnly(chunk: Json): boolean {
  return isObject(chunk.usage) && (!Array.isArray(chunk.choices) || chunk.choices.length === 0);
}
