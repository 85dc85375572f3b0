import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scanObject, type Scanned } from './json-scan.ts';
import { splice, spliceMembers, type MemberChanges } from './json-splice.ts';

function change(text: string, changes: MemberChanges): string {
  const bytes = Buffer.from(text);
  return spliceMembers(bytes, scanned(bytes), changes).toString();
}

function scanned(bytes: Buffer): Scanned {
  const result = scanObject(bytes);
  if (!result.ok) throw new Error(result.reason);
  return result;
}

describe('splice', () => {
  it('replaces, inserts and removes', () => {
    const edits = [
      { start: 0, end: 0, replacement: '<' },
      { start: 1, end: 3, replacement: Buffer.from('é') },
      { start: 3, end: 4, replacement: '' },
      { start: 6, end: 6, replacement: '>' },
    ];
    expect(splice(Buffer.from('abcdef'), edits).toString()).toBe('<aéef>');
  });

  it('refuses edits that overlap, are unsorted or leave the text', () => {
    const bytes = Buffer.from('abcdef');
    const edit = (start: number, end: number) => ({ start, end, replacement: '' });
    expect(() => splice(bytes, [edit(0, 3), edit(2, 4)])).toThrow(RangeError);
    expect(() => splice(bytes, [edit(4, 5), edit(0, 1)])).toThrow(RangeError);
    expect(() => splice(bytes, [edit(5, 7)])).toThrow(RangeError);
    expect(() => splice(bytes, [edit(3, 2)])).toThrow(RangeError);
  });
});

describe('spliceMembers', () => {
  it.each<[string, MemberChanges, string]>([
    ['{"model":"a","n":1.0}', { model: '"b"' }, '{"model":"b","n":1.0}'],
    ['{ "n" : 1 }', { model: '"b"' }, '{"model":"b", "n" : 1 }'],
    ['{}', { model: '"b"', n: '1' }, '{"model":"b","n":1}'],
    ['{"a":1, "b":2 ,"c":3}', { a: undefined }, '{"b":2 ,"c":3}'],
    ['{"a":1, "b":2 ,"c":3}', { b: undefined }, '{"a":1 ,"c":3}'],
    ['{"a":1, "b":2 ,"c":3 }', { c: undefined }, '{"a":1, "b":2 }'],
    ['{"a":1,"b":2,"c":3}', { a: undefined, b: undefined, d: '4' }, '{"d":4,"c":3}'],
    ['{ "a":1 }', { a: undefined }, '{  }'],
    ['{"a":1}', { a: undefined, b: '2' }, '{"b":2}'],
    ['{"a":1}', { zzz: undefined }, '{"a":1}'],
    ['{"a":1}', { 'k"\n': '2' }, '{"k\\"\\n":2,"a":1}'],
  ])('%s with %j', (text, changes, expected) => {
    expect(change(text, changes)).toBe(expected);
  });

  it('changes exactly what it is told to', () => {
    const key = fc.constantFrom('model', 'stream', 'n', 'a', 'ü', '');
    const changes = fc.dictionary(key, fc.option(fc.jsonValue(), { nil: undefined }), { noNullPrototype: true });
    fc.assert(
      fc.property(
        fc.dictionary(key, fc.jsonValue(), { noNullPrototype: true }),
        changes,
        fc.constantFrom(0, 1, '\t\r\n'),
        (object, values, indent) => {
          const bytes = Buffer.from(JSON.stringify(object, undefined, indent));
          const scan = scanned(bytes);
          const texts = Object.fromEntries(
            Object.entries(values).map(([name, value]) => [name, value === undefined ? undefined : JSON.stringify(value)]),
          );
          const result = spliceMembers(bytes, scan, texts);

          const wanted = new Map(Object.entries(object));
          for (const [name, value] of Object.entries(values)) {
            if (value === undefined) wanted.delete(name);
            else wanted.set(name, value);
          }
          expect(JSON.parse(result.toString())).toEqual(JSON.parse(JSON.stringify(Object.fromEntries(wanted))));
          expect(scanObject(result).ok).toBe(true);

          // Members left alone are the same bytes.
          const after = scanned(result);
          for (const [name, span] of scan.members) {
            if (name in texts) continue;
            const now = after.members.get(name);
            expect(result.subarray(now?.keyStart, now?.valueEnd)).toEqual(bytes.subarray(span.keyStart, span.valueEnd));
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
