import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { openRecordTable, recordTableBuilder } from './record-table.ts';

test('an empty table knows nothing', () => {
  expect(openRecordTable(recordTableBuilder().build()).find('a', () => true)).toBeUndefined();
});

test('every record is found by each of its names, and nothing by another', () => {
  const records = fc.uniqueArray(fc.record({ id: fc.string(), more: fc.string({ unit: 'binary' }) }), {
    selector: ({ id }) => id,
  });
  fc.assert(
    fc.property(records, fc.string(), (all, stranger) => {
      const builder = recordTableBuilder();
      for (const record of all) builder.add([`id:${record.id}`, `also:${record.id}`], record);
      const table = openRecordTable(builder.build());
      for (const record of all) {
        const accepts = ({ id }: { id: string }) => id === record.id;
        expect(table.find(`id:${record.id}`, accepts)).toEqual(record);
        expect(table.find(`also:${record.id}`, accepts)).toEqual(record);
      }
      expect(table.find(`none:${stranger}`, ({ id }: { id: string }) => `none:${id}` === `none:${stranger} `)).toBeUndefined();
    }),
  );
});

test('names of one hash are told apart by the record', () => {
  const builder = recordTableBuilder();
  for (const id of ['a', 'b', 'c']) builder.add(['same'], { id });
  const table = openRecordTable(builder.build());
  expect(table.find('same', ({ id }: { id: string }) => id === 'c')).toEqual({ id: 'c' });
  expect(table.find('same', ({ id }: { id: string }) => id === 'd')).toBeUndefined();
});
