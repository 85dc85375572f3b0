import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { itemsWith } from './json-list.ts';
import { scanObject } from './json-scan.ts';

function look(text: string, name = 'type'): string[][] | undefined {
  const bytes = Buffer.from(text);
  const scan = scanObject(bytes);
  if (!scan.ok) throw new Error(text);
  const items = itemsWith(bytes, scan.members.get('list')!, name);
  return items?.map(({ found }) => found.map(({ valueStart, valueEnd }) => bytes.toString('utf8', valueStart, valueEnd)));
}

test.each<[string, string[][] | undefined]>([
  ['{"list":[]}', []],
  ['{"list": [ { } , {"type" : "a"} ] }', [[], ['"a"']]],
  ['{"a":1,"list":[{"x":{"type":"inner"},"type":"outer","y":[{"type":1}]}]}', [['"outer"']]],
  ['{"list":[{"type":"a","type":"b"}]}', [['"a"', '"b"']]],
  ['{"list":[{"types":"a","typ":"b","x\\"type":1}]}', undefined],
  ['{"list":[{"t\\u0079pe":"hidden"}]}', undefined],
  ['{"list":[1]}', undefined],
  ['{"list":{"type":"a"}}', undefined],
  ['{"list":null}', undefined],
])('%s', (text, expected) => {
  expect(look(text)).toEqual(expected);
});

test('finds what JSON.parse finds, however it is written', () => {
  const items = fc.array(fc.dictionary(fc.constantFrom('type', 'name', 'types', 'größe', ''), fc.jsonValue()), { maxLength: 5 });
  fc.assert(
    fc.property(items, fc.constantFrom(0, 1, 3), (list, indent) => {
      const found = look(JSON.stringify({ before: 1, list, after: [] }, null, indent))!;
      expect(found.map((values) => values.map((value) => JSON.parse(value) as unknown))).toEqual(
        list.map((item) => (Object.hasOwn(item, 'type') ? [JSON.parse(JSON.stringify(item['type'])) as unknown] : [])),
      );
    }),
  );
});
