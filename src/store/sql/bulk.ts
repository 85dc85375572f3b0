/**
 * Many rows at once, at the speed of the database: the statement is compiled once for each of a few sizes, since compiling it takes as long as carrying
 * it out, and so does preparing one of a size never seen before.
 */
import { CompiledQuery, type Compilable, type Transaction } from 'kysely';

import type { Tables } from './tables.ts';

/** Powers of two up to here: at thirty columns far below the number of parameters that every database takes. */
const MOST_ROWS = 128;

/** All rows have the same members in the same order. */
export type Bulk<Row extends object> = (tx: Transaction<Tables>, rows: readonly Row[]) => Promise<void>;

/** `statement` inserts these rows; of the rows it holds nothing but their members, as parameters. */
export function createBulk<Row extends object>(
  statement: (tx: Transaction<Tables>, rows: readonly Row[]) => Compilable,
): Bulk<Row> {
  const texts = new Map<number, string>();
  return async (tx, rows) => {
    for (let at = 0; at < rows.length;) {
      const size = Math.min(MOST_ROWS, 2 ** Math.floor(Math.log2(rows.length - at)));
      const some = rows.slice(at, at + size);
      let text = texts.get(size);
      if (text === undefined) texts.set(size, (text = statement(tx, some).compile().sql));
      await tx.executeQuery(
        CompiledQuery.raw(
          text,
          some.flatMap((row) => Object.values(row)),
        ),
      );
      at += size;
    }
  };
}
