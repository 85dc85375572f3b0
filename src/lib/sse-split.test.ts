import { strict as assert } from 'node:assert';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeRecorded, readRecordings } from '../../test/support/recordings.ts';
import { createSseSplitter } from './sse-split.ts';

/** Everything that comes out when `bytes` go in as these chunks. */
function split(chunks: readonly Buffer[], maxEventBytes = 1 << 20) {
  const splitter = createSseSplitter({ maxEventBytes });
  const events = chunks.flatMap((chunk) => splitter.push(chunk));
  const { atBoundary, overflowed } = splitter;
  return { events: events.map(String), atBoundary, overflowed, rest: String(splitter.rest()) };
}

const whole = (bytes: Buffer | string) => split([Buffer.from(bytes)]);
const single = (bytes: Buffer) => Array.from(bytes, (byte) => Buffer.of(byte));

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const sorted = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
}

const streamText = fc
  .array(fc.constantFrom('a', 'data: x', ':', 'é', '😀', '\n', '\n', '\r\n', '\r\n', '\r', '\n\n', '\r\n\r\n', '\r\r'), {
    maxLength: 30,
  })
  .map((parts) => parts.join(''));

describe('createSseSplitter', () => {
  it.each([
    ['a\n\nb\n\n', ['a\n\n', 'b\n\n'], ''],
    ['a\r\n\r\nb\r\n\r\n', ['a\r\n\r\n', 'b\r\n\r\n'], ''],
    ['a\r\rb\r\r', ['a\r\r', 'b\r\r'], ''],
    ['a\nb\nc\n\n', ['a\nb\nc\n\n'], ''],
    ['a\r\nb\n\r\n', ['a\r\nb\n\r', '\n'], ''],
    ['a\r\n\nb\r\n\rc\n\n', ['a\r\n\n', 'b\r\n\r', 'c\n\n'], ''],
    ['\n\na\n\n\n', ['\n', '\n', 'a\n\n', '\n'], ''],
    ['a\r\n\r\n\r\nb', ['a\r\n\r\n', '\r\n'], 'b'],
    [': ping\n\ndata: x', [': ping\n\n'], 'data: x'],
    ['a\n', [], 'a\n'],
    ['a\r\n\r', [], 'a\r\n\r'],
    ['', [], ''],
  ])('%j', (text, events, rest) => {
    expect(whole(text)).toEqual({ events, rest, atBoundary: rest === '', overflowed: false });
    expect(split(single(Buffer.from(text)))).toEqual(whole(text));
  });

  it('cuts at the same places however the bytes arrive, and loses none', () => {
    fc.assert(
      fc.property(streamText, fc.array(fc.nat(), { maxLength: 6 }), (text, cuts) => {
        const bytes = Buffer.from(text);
        const { events, rest } = whole(bytes);
        expect(events.join('') + rest).toBe(text);
        expect(split(cutAt(bytes, cuts))).toEqual(whole(bytes));
        expect(split(single(bytes))).toEqual(whole(bytes));
      }),
      { numRuns: 1_500 },
    );
  });

  it('survives garbage', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.array(fc.nat(), { maxLength: 4 }),
        fc.integer({ min: 1, max: 50 }),
        (noise, cuts, max) => {
          const bytes = Buffer.from(noise);
          const splitter = createSseSplitter({ maxEventBytes: max });
          const out: Buffer[] = [];
          for (const chunk of cutAt(bytes, cuts)) {
            out.push(...splitter.push(chunk));
            expect(splitter.pending).toBeLessThanOrEqual(max);
          }
          expect(Buffer.concat([...out, splitter.rest()])).toEqual(bytes);
        },
      ),
    );
  });

  it('holds an unfinished event and tells so', () => {
    const splitter = createSseSplitter({ maxEventBytes: 100 });
    expect(splitter.atBoundary).toBe(true);
    expect(splitter.push(Buffer.from('data: x\n'))).toEqual([]);
    expect([splitter.pending, splitter.atBoundary]).toEqual([8, false]);
    expect(splitter.push(Buffer.from('\nda')).map(String)).toEqual(['data: x\n\n']);
    expect(splitter.pending).toBe(2);
    expect(String(splitter.rest())).toBe('da');
    expect(splitter.pending).toBe(0);
  });

  it('gives views where an event lies inside a chunk', () => {
    const chunk = Buffer.from('a\n\nb\n\nc');
    const events = createSseSplitter({ maxEventBytes: 100 }).push(chunk);
    expect(events.map(({ buffer, byteOffset }) => [buffer === chunk.buffer, byteOffset - chunk.byteOffset])).toEqual([
      [true, 0],
      [true, 3],
    ]);
  });

  it('passes bytes unseen after an event that is too large, in one chunk or in many', () => {
    const text = `a\n\n${'x'.repeat(20)}\n\nb\n\n`;
    for (const chunks of [[Buffer.from(text)], single(Buffer.from(text)), cutAt(Buffer.from(text), [5, 12])]) {
      const splitter = createSseSplitter({ maxEventBytes: 10 });
      const out = chunks.flatMap((chunk) => splitter.push(chunk)).map(String);
      expect(out[0]).toBe('a\n\n');
      expect(out.join('')).toBe(text);
      expect([splitter.overflowed, splitter.atBoundary, splitter.pending]).toEqual([true, false, 0]);
    }
    expect(split([Buffer.from(`${'x'.repeat(8)}\n\n`)], 10).overflowed).toBe(false);
    expect(split([Buffer.from(`${'x'.repeat(9)}\n\n`)], 10).overflowed).toBe(true);
  });

  it('takes linear time whatever the line ends are', () => {
    // Without a blank line in 600 KB: quadratic search would read 180 GB here.
    for (const line of ['x\n', 'x\r', 'x\r\n']) {
      const startedAt = performance.now();
      createSseSplitter({ maxEventBytes: 1 << 30 }).push(Buffer.from(`\r${line.repeat(300_000)}\r`));
      expect(performance.now() - startedAt).toBeLessThan(3_000);
    }
  });
});

function everySplit(expected: readonly Buffer[]): void {
  const bytes = Buffer.concat(expected);
  const lengths = expected.map((event) => event.length).join();
  for (let cut = 0; cut <= bytes.length; cut++) {
    // Deep inside a line of many kilobytes one place is as good as another.
    if (bytes.length > 4_000 && cut % 11 !== 0 && !bytes.subarray(Math.max(0, cut - 40), cut + 40).includes(0x0a)) continue;
    const splitter = createSseSplitter({ maxEventBytes: 1 << 20 });
    const events = [...splitter.push(bytes.subarray(0, cut)), ...splitter.push(bytes.subarray(cut))];
    // The same bytes in pieces of the same lengths are the same events.
    if (events.map((event) => event.length).join() !== lengths) throw new Error(`cut at ${cut} moved an event`);
    if (!Buffer.concat(events).equals(bytes)) throw new Error(`cut at ${cut} lost bytes`);
  }
}

describeRecorded('recorded streams', () => {
  const streams = readRecordings().flatMap(({ id, response }) =>
    response.kind === 'sse' && response.text !== undefined ? [{ id, text: response.text }] : [],
  );

  it('are there', () => {
    expect(streams.length).toBeGreaterThan(25);
    expect(streams.some(({ text }) => text.includes('\r\n\r\n'))).toBe(true);
  });

  // A cut only concerns the event it falls into, so long streams are tried in windows of three events: a whole stream for each cut would be quadratic.
  it.each(streams)('$id: every split in two', ({ text }) => {
    const expected = createSseSplitter({ maxEventBytes: 1 << 20 }).push(Buffer.from(text));
    expect(expected.length).toBeGreaterThan(0);
    const size = text.length < 3_000 ? expected.length : 3;
    for (let first = 0; first < expected.length; first += Math.max(1, size - 1)) everySplit(expected.slice(first, first + size));
  });

  it.each(streams)('$id: single bytes and random slices', ({ text }) => {
    const bytes = Buffer.from(text);
    const expected = whole(bytes);
    expect(split(single(bytes))).toEqual(expected);
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 40 }), (cuts) => assert.deepEqual(split(cutAt(bytes, cuts)), expected)),
      { numRuns: 8 },
    );
  });
});
