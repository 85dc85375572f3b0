/**
 * What OpenAI's Responses API looks like on the wire, as far as a relay reads it.
 * Source: the types of openai 7.57 (resources/responses) and recorded answers of OpenAI and xAI.
 */
import { type Json, isObject } from '../../core/read.ts';
import { parseSseEvent } from '../../lib/sse-parser.ts';

/** Events that carry the whole response object, and what they say about the stream. */
export const LIFECYCLE: ReadonlyMap<string, 'open' | 'done' | 'error'> = new Map([
  ['response.created', 'open'],
  ['response.queued', 'open'],
  ['response.in_progress', 'open'],
  ['response.completed', 'done'],
  ['response.incomplete', 'done'],
  ['response.failed', 'error'],
]);

/** The stream's own failure, outside any response object. */
export const ERROR_EVENT = 'error';

/** Longer than any event's name. */
const NAME_BYTES = 80;

/** The type as the leading `event:` line has it, without decoding the rest; undefined where an imitator leaves that line out or says `message`. */
export function namedType(event: Buffer): string | undefined {
  return /^event: ?(error|response\.[\w.]+)[\r\n]/.exec(event.toString('latin1', 0, NAME_BYTES))?.[1];
}

/** The event's data; undefined for comments, `[DONE]` and whatever is no JSON object, which is the client's to judge. */
export function dataOf(event: Buffer): Json | undefined {
  const data = parseSseEvent(event)?.data;
  if (data === undefined || !data.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(data);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
