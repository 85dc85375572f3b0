/**
 * The grammar of RFC 8259 over raw bytes: each function steps over one thing and checks it wholly, none builds anything.
 * Recursion is bounded by `maxDepth`.
 */

import {
  TAB,
  LF,
  CR,
  SPACE,
  QUOTE,
  PLUS,
  COMMA,
  MINUS,
  DOT,
  ZERO,
  NINE,
  COLON,
  OPEN_BRACKET,
  BACKSLASH,
  CLOSE_BRACKET,
  LOWER_A,
  LOWER_E,
  LOWER_F,
  LOWER_N,
  LOWER_T,
  LOWER_U,
  OPEN_BRACE,
  CLOSE_BRACE,
} from './ascii.ts';

/** What may follow a backslash, `u` apart: 1 where it may. A table, since long prompts are full of `\\n`. */
const SIMPLE_ESCAPES = Uint8Array.from({ length: 256 }, (_, byte) => Number('"\\/bfnrt'.includes(String.fromCharCode(byte))));

/** Why a text is refused, by this grammar or by the scanner above it. */
export type RefusalReason =
  | 'invalid'
  | 'not_object'
  | 'duplicate_key'
  | 'escaped_key'
  | 'forbidden_key'
  | 'too_many_keys'
  | 'bom'
  | 'utf8'
  | 'too_deep';

/** One scan under way. Every `skip…` answers the offset after what it read, or -1 once `refuse` has noted why. */
export interface Scan {
  bytes: Buffer;
  view: DataView;
  maxDepth: number;
  reason: RefusalReason;
  at: number;
  key: string | undefined;
}

/** Notes why and where; the first refusal ends the scan. */
export function refuse(scan: Scan, reason: RefusalReason, at: number): -1 {
  scan.reason = reason;
  scan.at = at;
  return -1;
}

/** Any value at `at`, which is its first byte; `depth` counts the containers around it. */
export function skipValue(scan: Scan, at: number, depth: number): number {
  switch (scan.bytes[at]) {
    case QUOTE:
      return skipString(scan, at);
    case OPEN_BRACE:
      return skipObject(scan, at, depth + 1);
    case OPEN_BRACKET:
      return skipArray(scan, at, depth + 1);
    case LOWER_T:
      return skipWord(scan, at, 'true');
    case LOWER_F:
      return skipWord(scan, at, 'false');
    case LOWER_N:
      return skipWord(scan, at, 'null');
    default:
      return skipNumber(scan, at);
  }
}

function skipObject(scan: Scan, start: number, depth: number): number {
  if (depth > scan.maxDepth) return refuse(scan, 'too_deep', start);
  const { bytes } = scan;
  let at = skipSpace(bytes, start + 1);
  if (bytes[at] === CLOSE_BRACE) return at + 1;
  for (;;) {
    if (bytes[at] !== QUOTE) return refuse(scan, 'invalid', at);
    at = skipString(scan, at);
    if (at >= 0) at = skipColon(scan, at);
    if (at >= 0) at = skipValue(scan, at, depth);
    if (at < 0) return -1;
    at = skipSpace(bytes, at);
    if (bytes[at] === CLOSE_BRACE) return at + 1;
    if (bytes[at] !== COMMA) return refuse(scan, 'invalid', at);
    at = skipSpace(bytes, at + 1);
  }
}

function skipArray(scan: Scan, start: number, depth: number): number {
  if (depth > scan.maxDepth) return refuse(scan, 'too_deep', start);
  const { bytes } = scan;
  let at = skipSpace(bytes, start + 1);
  if (bytes[at] === CLOSE_BRACKET) return at + 1;
  for (;;) {
    at = skipValue(scan, at, depth);
    if (at < 0) return -1;
    at = skipSpace(bytes, at);
    if (bytes[at] === CLOSE_BRACKET) return at + 1;
    if (bytes[at] !== COMMA) return refuse(scan, 'invalid', at);
    at = skipSpace(bytes, at + 1);
  }
}

/** The offset of the next byte that is no white space, or the end. */
export function skipSpace(bytes: Buffer, start: number): number {
  let at = start;
  let byte = bytes[at];
  while (byte === SPACE || byte === LF || byte === CR || byte === TAB) byte = bytes[++at];
  return at;
}

/** From after a key to its value. */
export function skipColon(scan: Scan, start: number): number {
  const at = skipSpace(scan.bytes, start);
  return scan.bytes[at] === COLON ? skipSpace(scan.bytes, at + 1) : refuse(scan, 'invalid', at);
}

function skipWord(scan: Scan, start: number, word: string): number {
  for (let index = 1; index < word.length; index++) {
    if (scan.bytes[start + index] !== word.charCodeAt(index)) return refuse(scan, 'invalid', start + index);
  }
  return start + word.length;
}

function skipNumber(scan: Scan, start: number): number {
  const { bytes } = scan;
  let at = bytes[start] === MINUS ? start + 1 : start;
  // A leading zero stands alone: `01` ends after the 0, and the 1 is then no comma.
  at = bytes[at] === ZERO ? at + 1 : skipDigits(scan, at);
  if (at >= 0 && bytes[at] === DOT) at = skipDigits(scan, at + 1);
  if (at >= 0 && isExponent(bytes[at])) {
    const sign = bytes[at + 1];
    at = skipDigits(scan, sign === PLUS || sign === MINUS ? at + 2 : at + 1);
  }
  return at;
}

function isExponent(byte: number | undefined): boolean {
  return byte !== undefined && (byte | 0x20) === LOWER_E;
}

function skipDigits(scan: Scan, start: number): number {
  let at = start;
  for (;;) {
    const byte = scan.bytes[at];
    if (byte === undefined || byte < ZERO || byte > NINE) return at > start ? at : refuse(scan, 'invalid', at);
    at++;
  }
}

/**
 * `start` is the opening quote. The hot loop: four bytes at a time to the next quote, backslash or control character; written out rather than called,
 * which is a quarter faster.
 *
 * `special` has a bit for each such byte. `word ^ 0x02…` turns a quote into a space and leaves control characters below it, so one test for
 * "less than 0x21" finds both; a byte with its high bit set (UTF-8) never counts. A borrow can only disturb bytes above a true hit, so the lowest is exact.
 */
function skipString(scan: Scan, start: number): number {
  const { bytes, view } = scan;
  const lastWord = bytes.length - 4;
  let at = start + 1;
  for (;;) {
    if (at <= lastWord) {
      const word = view.getInt32(at, true);
      const special = (((word ^ 0x02020202) - 0x21212121) | ((word ^ 0x5c5c5c5c) - 0x01010101)) & ~word & 0x80808080;
      if (special === 0) {
        at += 4;
        continue;
      }
      at += (31 - Math.clz32(special & -special)) >> 3;
    } else while (isPlain(bytes[at])) at++;
    const byte = bytes[at];
    if (byte === QUOTE) return at + 1;
    if (byte !== BACKSLASH) return refuse(scan, 'invalid', at);
    if (SIMPLE_ESCAPES[bytes[at + 1] ?? 0] === 1) at += 2;
    else if (skipUnicode(scan, at) < 0) return -1;
    else at += 6;
  }
}

/** From inside a string to what ends plain text in it: a quote, a backslash, a control character or the end. */
export function skipPlain(bytes: Buffer, start: number): number {
  let at = start;
  while (isPlain(bytes[at])) at++;
  return at;
}

function isPlain(byte: number | undefined): boolean {
  return byte !== undefined && byte >= SPACE && byte !== QUOTE && byte !== BACKSLASH;
}

/** `\uXXXX`, which is six bytes. */
function skipUnicode(scan: Scan, start: number): number {
  if (scan.bytes[start + 1] !== LOWER_U) return refuse(scan, 'invalid', start);
  for (let at = start + 2; at < start + 6; at++) {
    if (!isHexDigit(scan.bytes[at] ?? 0)) return refuse(scan, 'invalid', at);
  }
  return start + 6;
}

function isHexDigit(byte: number): boolean {
  const lower = byte | 0x20;
  return (byte >= ZERO && byte <= NINE) || (lower >= LOWER_A && lower <= LOWER_F);
}
