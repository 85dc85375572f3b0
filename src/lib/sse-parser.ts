/** Server-sent events as the HTML standard defines them (§9.2.6), for what reads a stream rather than relays it. */
import { createSseSplitter } from './sse-split.ts';

/** One server-sent event as the HTML standard defines it (§9.2.6): fields joined, terminator removed. */
export interface SseEvent {
  /** `event:` field; `message` where absent. */
  event: string;
  /** `data:` lines joined by LF. */
  data: string;
}

export interface SseParser {
  /** Throws SseEventTooLargeError; nothing may be pushed after that. Events before the large one have been handed out. */
  push(chunk: Buffer): void;
  /** The stream is over. Answers the bytes of an event that was never finished, which the standard discards; 0 at a clean end. */
  end(): number;
}

export class SseEventTooLargeError extends Error {
  readonly maxEventBytes: number;

  constructor(maxEventBytes: number) {
    super(`A server-sent event is larger than ${maxEventBytes} bytes`);
    this.name = 'SseEventTooLargeError';
    this.maxEventBytes = maxEventBytes;
  }
}

/** An incremental parser. `id` and `retry` are ignored: nobody reconnects here. */
export function createSseParser(options: { maxEventBytes: number; onEvent: (event: SseEvent) => void }): SseParser {
  const { maxEventBytes, onEvent } = options;
  const splitter = createSseSplitter({ maxEventBytes });
  let first = true;
  const read = (raw: Buffer): void => {
    const event = parseSseEvent(first && hasBom(raw) ? raw.subarray(3) : raw);
    first = false;
    if (event !== undefined) onEvent(event);
  };
  return {
    push(chunk) {
      const events = splitter.push(chunk);
      // What comes after an overflow is no event any more.
      const whole = splitter.overflowed ? events.slice(0, -1) : events;
      for (const raw of whole) read(raw);
      if (splitter.overflowed) throw new SseEventTooLargeError(maxEventBytes);
    },
    end() {
      const rest = splitter.rest();
      // The blank line's CR is there and only its LF, which it may lack, is not.
      if (!rest.toString('latin1', Math.max(0, rest.length - 3)).endsWith('\r\n\r')) return rest.length;
      read(rest);
      return 0;
    },
  };
}

function hasBom(raw: Buffer): boolean {
  return raw[0] === 0xef && raw[1] === 0xbb && raw[2] === 0xbf;
}

/** The event in the raw bytes of one (as sse-split cuts them); undefined where they hold no `data`, as comments and stray blank lines. */
export function parseSseEvent(raw: Buffer): SseEvent | undefined {
  const decoded = raw.toString('utf8');
  const text = decoded.includes('\r') ? decoded.replaceAll(/\r\n?/g, '\n') : decoded;
  let event = '';
  let data: string | undefined;
  let start = 0;
  while (start < text.length) {
    const lf = text.indexOf('\n', start);
    const line = text.slice(start, lf < 0 ? text.length : lf);
    start += line.length + 1;
    const value = fieldValue(line, 'data');
    if (value !== undefined) data = data === undefined ? value : `${data}\n${value}`;
    else event = fieldValue(line, 'event') ?? event;
  }
  return data === undefined ? undefined : { event: event === '' ? 'message' : event, data };
}

/** The value if the line is of that field: `name`, `name:value` or `name: value`, the one space belonging to the syntax. */
function fieldValue(line: string, name: string): string | undefined {
  if (!line.startsWith(name)) return undefined;
  if (line.length === name.length) return '';
  if (line[name.length] !== ':') return undefined;
  return line.slice(line[name.length + 1] === ' ' ? name.length + 2 : name.length + 1);
}
