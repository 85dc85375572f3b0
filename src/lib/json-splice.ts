/** Changes members of a JSON object in its raw bytes: what is not changed stays as the client wrote it, to the byte. */
import type { Scanned, Span } from './json-scan.ts';

/** Bytes `start` (inclusive) to `end` (exclusive) become `replacement`; an insertion has `start === end`. */
export interface Edit {
  start: number;
  end: number;
  replacement: Buffer | string;
}

/** New JSON text for a member, or `undefined` to take it out. */
export type MemberChanges = Readonly<Record<string, string | undefined>>;

/**
 * A copy of `bytes` with the edits done, in one allocation.
 * Throws RangeError where edits are unsorted, overlap or leave the text: a program's error, never a client's.
 */
export function splice(bytes: Buffer, edits: readonly Edit[]): Buffer {
  const pieces: Buffer[] = [];
  let kept = 0;
  for (const { start, end, replacement } of edits) {
    if (start < kept || end < start || end > bytes.length)
      throw new RangeError(`Edit ${start}–${end} after ${kept} of ${bytes.length}`);
    pieces.push(bytes.subarray(kept, start), typeof replacement === 'string' ? Buffer.from(replacement) : replacement);
    kept = end;
  }
  pieces.push(bytes.subarray(kept));
  return Buffer.concat(pieces);
}

/** `bytes`, scanned as `scan`, with the members changed: replaced where they stand, inserted at the object's start, or taken out with one comma. */
export function spliceMembers(bytes: Buffer, scan: Scanned, changes: MemberChanges): Buffer {
  return splice(bytes, editMembers(scan, changes));
}

/** The edits of `spliceMembers`, sorted. */
function editMembers({ members, inside }: Scanned, changes: MemberChanges): Edit[] {
  const edits: Edit[] = [];
  const added: string[] = [];
  for (const [key, text] of Object.entries(changes)) {
    const span = members.get(key);
    if (text === undefined) continue;
    if (span === undefined) added.push(`${JSON.stringify(key)}:${text}`);
    else edits.push({ start: span.valueStart, end: span.valueEnd, replacement: text });
  }
  const { removals, kept } = removeMembers(members, changes);
  if (added.length > 0) edits.push({ start: inside, end: inside, replacement: added.join(',') + (kept > 0 ? ',' : '') });
  return [...edits, ...removals].sort((a, b) => a.start - b.start);
}

/**
 * One edit for each run of neighbours that go. A run goes with the comma before it; the first run of the object
 * has none and takes the comma after it, so that exactly the commas between members that stay are left.
 */
function removeMembers(members: ReadonlyMap<string, Span>, changes: MemberChanges): { removals: Edit[]; kept: number } {
  const removals: Edit[] = [];
  let kept = 0;
  let lastKept: Span | undefined;
  let run: Edit | undefined;
  for (const [key, span] of members) {
    if (Object.hasOwn(changes, key) && changes[key] === undefined) {
      run ??= { start: lastKept?.valueEnd ?? span.keyStart, end: span.valueEnd, replacement: '' };
      run.end = span.valueEnd;
      continue;
    }
    if (run !== undefined) removals.push(kept === 0 ? { ...run, end: span.keyStart } : run);
    run = undefined;
    lastKept = span;
    kept++;
  }
  if (run !== undefined) removals.push(run);
  return { removals, kept };
}
