/** Looks into an array of objects in raw bytes that a scan has already proved sound, without building a tree. */
import { BACKSLASH, CLOSE_BRACE, CLOSE_BRACKET, COMMA, OPEN_BRACE, OPEN_BRACKET, QUOTE } from './ascii.ts';
import type { Span } from './json-scan.ts';
import { type Scan, skipColon, skipPlain, skipSpace, skipValue } from './json-skip.ts';

export interface Item {
  /** Of the object, braces included. */
  start: number;
  end: number;
  /** Every member of that name, as often as it stands there. */
  found: Span[];
}

/**
 * The objects of the array at `span`, each with its members called `name`. Undefined where it is no array, holds something else than objects, or a member's
 * name is written with escapes, behind which any name could hide. 60 KB of tool definitions take some 50 µs.
 */
export function itemsWith(bytes: Buffer, span: Span, name: string): Item[] | undefined {
  if (bytes[span.valueStart] !== OPEN_BRACKET) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const scan: Scan = { bytes, view, maxDepth: 1_000, reason: 'invalid', at: 0, key: undefined };
  const items: Item[] = [];
  let at = skipSpace(bytes, span.valueStart + 1);
  while (bytes[at] !== CLOSE_BRACKET) {
    const item = readItem(scan, at, name);
    if (item === undefined) return undefined;
    items.push(item);
    at = skipSpace(bytes, item.end);
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1);
  }
  return items;
}

function readItem(scan: Scan, start: number, name: string): Item | undefined {
  const { bytes } = scan;
  if (bytes[start] !== OPEN_BRACE) return undefined;
  const found: Span[] = [];
  let at = skipSpace(bytes, start + 1);
  while (bytes[at] !== CLOSE_BRACE) {
    if (bytes[at] !== QUOTE) return undefined;
    const keyStart = at;
    const keyEnd = skipPlain(bytes, keyStart + 1);
    if (bytes[keyEnd] === BACKSLASH) return undefined;
    const valueStart = skipColon(scan, keyEnd + 1);
    const valueEnd = skipValue(scan, valueStart, 1);
    if (valueEnd < 0) return undefined;
    if (keyEnd - keyStart - 1 === name.length && bytes.toString('latin1', keyStart + 1, keyEnd) === name) {
      found.push({ keyStart, valueStart, valueEnd });
    }
    at = skipSpace(bytes, valueEnd);
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1);
  }
  return { start, end: at + 1, found };
}
