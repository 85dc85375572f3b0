import { isUtf8 } from 'node:buffer';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readBoolean, readNumber, readString, scanObject, type Scanned } from './json-scan.ts';

const scan = (text: string | Buffer, maxDepth = 128) =>
  scanObject(typeof text === 'string' ? Buffer.from(text) : text, { maxDepth });

function accepted(bytes: Buffer): Scanned {
  const result = scanObject(bytes);
  if (!result.ok) throw new Error(`refused: ${result.reason} at ${result.at}`);
  return result;
}

const space = fc.string({ unit: fc.constantFrom(' ', '\n', '\r', '\t'), maxLength: 3 });
const escape = fc.constantFrom(
  '\\n',
  '\\"',
  '\\\\',
  '\\/',
  '\\b',
  '\\f',
  '\\r',
  '\\t',
  '\\u0041',
  '\\u0000',
  '\\ud83d\\ude00',
  '\\uD800',
  '\\u00e9',
);
const rawCharacter = fc.constantFrom(
  'a',
  'Z',
  ' ',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  "'",
  '/',
  '\u007f',
  'é',
  'ß',
  '中',
  '\u2028',
  '\ufeff',
  '😀',
  '__proto__',
);
const stringText = fc
  .array(fc.oneof({ weight: 4, arbitrary: rawCharacter }, escape), { maxLength: 40 })
  .map((parts) => `"${parts.join('')}"`);
const numberText = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.constantFrom('0', '-0', '1e5', '1E+5', '1.50e-3', '-0.0', '123456789012345678901234567890', '1e999', '0e0'),
);
const { value: valueText } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(stringText, numberText, fc.constantFrom('true', 'false', 'null')),
    fc
      .array(fc.tuple(space, tie('value'), space), { maxLength: 4 })
      .map((items) => `[${items.map((item) => item.join('')).join(',') || ' '}]`),
    fc
      .array(fc.tuple(space, stringText, space, tie('value'), space), { maxLength: 4 })
      .map((items) => `{${items.map(([a, key, b, value, c]) => `${a}${key}${b}:${value}${c}`).join(',') || '\n'}}`),
  ),
}));
const keyText = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom('"model"', '"stream"', '"n"', '"a"', '""', '"ключ"', '"constructor"', '"toString"', '"0"'),
  },
  { weight: 1, arbitrary: fc.oneof(stringText, fc.constantFrom('"mod\\u0065l"', '"__proto__"')) },
);
/** Objects as clients send them, and the ones they should not. */
const objectText = fc
  .tuple(space, fc.array(fc.tuple(space, keyText, space, space, valueText, space), { maxLength: 6 }), space, space)
  .map(
    ([before, members, inner, after]) =>
      `${before}{${members.map(([a, k, b, c, v, d]) => `${a}${k}${b}:${c}${v}${d}`).join(',') || inner}}${after}`,
  );

/** One to three bytes changed, dropped or put in. */
const mutation = fc.array(
  fc.record({
    at: fc.nat(),
    byte: fc.oneof(fc.constantFrom(...Buffer.from('"\\{}[],:0123456789.eE+-tfnu \n\t')), fc.integer({ min: 0, max: 255 })),
    kind: fc.constantFrom('set', 'drop', 'add'),
  }),
  { minLength: 1, maxLength: 3 },
);
function mutate(bytes: Buffer, changes: { at: number; byte: number; kind: string }[]): Buffer {
  const list = [...bytes];
  for (const { at, byte, kind } of changes) {
    const index = at % (list.length + 1);
    list.splice(index, kind === 'add' ? 0 : 1, ...(kind === 'drop' ? [] : [byte]));
  }
  return Buffer.from(list);
}

function parsed(bytes: Buffer): { value?: unknown } {
  try {
    return isUtf8(bytes) ? { value: JSON.parse(bytes.toString('utf8')) as unknown } : {};
  } catch {
    return {};
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Accepting means reading the same; refusing as `invalid` means that JSON.parse refuses too. */
function checkAgainstParse(bytes: Buffer): void {
  const result = scanObject(bytes);
  const { value } = parsed(bytes);
  if (!result.ok) {
    if (result.reason === 'invalid') expect(value).toBeUndefined();
    if (result.reason === 'not_object') expect(value !== undefined && !isObject(value)).toBe(true);
    expect(['invalid', 'not_object', 'duplicate_key', 'escaped_key', 'forbidden_key', 'bom', 'utf8']).toContain(result.reason);
    return;
  }
  if (!isObject(value)) throw new Error('accepted what JSON.parse refuses');
  expect([...result.members.keys()].sort()).toEqual(Object.keys(value).sort());
  for (const [key, span] of result.members) {
    expect(bytes.toString('utf8', span.keyStart, span.keyStart + Buffer.byteLength(key) + 2)).toBe(`"${key}"`);
    const slice = JSON.parse(bytes.toString('utf8', span.valueStart, span.valueEnd)) as unknown;
    expect(slice).toEqual(value[key]);
    expect(readString(bytes, span)).toBe(typeof slice === 'string' ? slice : undefined);
    expect(readBoolean(bytes, span)).toBe(typeof slice === 'boolean' ? slice : undefined);
    expect(readNumber(bytes, span)).toBe(typeof slice === 'number' ? slice : undefined);
  }
}

describe('scanObject', () => {
  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(objectText, (text) => checkAgainstParse(Buffer.from(text))),
      { numRuns: 3_000 },
    );
  });

  it('agrees with JSON.parse on damaged text', () => {
    fc.assert(
      fc.property(objectText, mutation, (text, changes) => checkAgainstParse(mutate(Buffer.from(text), changes))),
      { numRuns: 6_000 },
    );
  });

  it('agrees with JSON.parse on any bytes, at any alignment', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), objectText, fc.nat(7), (noise, text, shift) => {
        checkAgainstParse(Buffer.from(noise));
        const whole = Buffer.concat([Buffer.alloc(shift, '"'), Buffer.from(text), Buffer.from('"}')]);
        checkAgainstParse(whole.subarray(shift, whole.length - 2));
      }),
      { numRuns: 2_000 },
    );
  });

  it('agrees with JSON.parse on every prefix of a body', () => {
    const body = Buffer.from('{"model":"m\\u00e9\\n😀","n":[-1.5e+3,0,{"a":[true,false,null]}],"s":"" , "x":{}}');
    for (let end = 0; end <= body.length; end++) checkAgainstParse(body.subarray(0, end));
    expect(scanObject(body).ok).toBe(true);
  });

  it('agrees with JSON.parse on every byte at every place of a string and of a number', () => {
    for (let byte = 0; byte < 256; byte++) {
      for (let at = 0; at < 9; at++) {
        const text = Buffer.from('{"a":"xxxxxxxxx","n":-120.5e7}');
        text[6 + at] = byte;
        checkAgainstParse(text);
        const number = Buffer.from('{"n":-120.5e7}');
        number[5 + (at % 8)] = byte;
        checkAgainstParse(number);
      }
    }
  });

  it('gives spans in the order of the text', () => {
    const bytes = Buffer.from(' { "model" : "m" ,"n":1}');
    const result = accepted(bytes);
    expect([...result.members]).toEqual([
      ['model', { keyStart: 3, valueStart: 13, valueEnd: 16 }],
      ['n', { keyStart: 18, valueStart: 22, valueEnd: 23 }],
    ]);
    expect(result.inside).toBe(2);
    expect(readString(bytes, result.members.get('missing'))).toBeUndefined();
  });

  it.each([
    ['[]', 'not_object', 0],
    [' "model"', 'not_object', 1],
    ['', 'invalid', 0],
    ['{"a":1} x', 'invalid', 8],
    ['{"a":1}{', 'invalid', 7],
    ['{"a":01}', 'invalid', 6],
    ['{"a":1,}', 'invalid', 7],
    ["{'a':1}", 'invalid', 1],
    ['{"a":NaN}', 'invalid', 5],
    ['{"a":"\n"}', 'invalid', 6],
    ['{"a":"\\x"}', 'invalid', 6],
    ['{"a":[1 2]}', 'invalid', 8],
    ['\ufeff{}', 'bom', 0],
    ['{"a":1,"b":{"b":1,"b":2},"a":2}', 'duplicate_key', 25],
    ['{"mod\\u0065l":"x"}', 'escaped_key', 1],
    ['{"a":1,"__proto__":{}}', 'forbidden_key', 7],
  ])('refuses %j as %s', (text, reason, at) => {
    expect(scan(text)).toMatchObject({ ok: false, reason, at });
  });

  it('names the repeated key', () => {
    expect(scan('{"model":"a","model":"b"}')).toEqual({ ok: false, reason: 'duplicate_key', at: 13, key: 'model' });
    const long = `"${'k'.repeat(300)}":1`;
    expect(scan(`{${long},${long}}`)).toMatchObject({ key: 'k'.repeat(128) });
  });

  it('refuses what is no UTF-8, wherever it stands', () => {
    for (const bad of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82]]) {
      expect(scan(Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bad), Buffer.from('"}')]))).toMatchObject({ reason: 'utf8' });
    }
  });

  it('bounds depth and the number of members', () => {
    const nested = (levels: number) => `{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`;
    expect(scan(nested(128)).ok).toBe(true);
    expect(scan(nested(129))).toMatchObject({ reason: 'too_deep', at: 5 + 127 });
    expect(scan('{"a":{}}', 1)).toMatchObject({ reason: 'too_deep' });
    expect(scan('['.repeat(1_000_000))).toMatchObject({ reason: 'too_deep' });
    const wide = (count: number) => `{${Array.from({ length: count }, (_, index) => `"k${index}":0`).join(',')}}`;
    expect(scan(wide(1_000)).ok).toBe(true);
    expect(scan(wide(1_001))).toMatchObject({ reason: 'too_many_keys' });
  });
});
