/**
 * Takes `"usage":null` out of the bytes of a chunk: OpenAI puts it into every chunk once usage was asked for, and the client did not ask.
 * Only the top-level member goes, with its comma; all other bytes stay as they are.
 */
const KEY = Buffer.from('"usage"');
const NULL = Buffer.from('null');

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);
const BLANK = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** The event without the member; `true`, as a tap says it, where it has none. */
export function withoutNullUsage(event: Buffer): Buffer | true {
  let out = event;
  for (let at = out.indexOf(KEY); at !== -1; at = out.indexOf(KEY, at)) {
    const end = nullAfter(out, at + KEY.length);
    // A quote behind a backslash belongs to a text that ends in the word.
    if (end === -1 || out[at - 1] === BACKSLASH || !isTopLevel(out, end)) at++;
    else out = withoutMember(out, at, end);
  }
  return out === event ? true : out;
}

/** Where `: null` ends that begins at `from`; -1 where something else stands there. */
function nullAfter(bytes: Buffer, from: number): number {
  const colon = skipBlank(bytes, from);
  if (bytes[colon] !== COLON) return -1;
  const value = skipBlank(bytes, colon + 1);
  return bytes.compare(NULL, 0, NULL.length, value, value + NULL.length) === 0 ? value + NULL.length : -1;
}

function skipBlank(bytes: Buffer, from: number): number {
  let at = from;
  while (BLANK.has(bytes[at] ?? 0)) at++;
  return at;
}

/** Outside of texts, as `from` is: at the top exactly one bracket is closed from there to the end. */
function isTopLevel(bytes: Buffer, from: number): boolean {
  let depth = 0;
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === QUOTE) at = endOfText(bytes, at);
    else if (OPENING.has(byte)) depth++;
    else if (CLOSING.has(byte)) depth--;
  }
  return depth === -1;
}

/** The closing quote of the text whose opening quote is at `open`. */
function endOfText(bytes: Buffer, open: number): number {
  let at = open + 1;
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at;
}

function withoutMember(bytes: Buffer, start: number, end: number): Buffer {
  const next = skipBlank(bytes, end);
  if (bytes[next] === COMMA) return joined(bytes, start, next + 1);
  let before = start - 1;
  while (BLANK.has(bytes[before] ?? 0)) before--;
  return joined(bytes, bytes[before] === COMMA ? before : start, end);
}

function joined(bytes: Buffer, from: number, to: number): Buffer {
  return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
}
