/** What commands print: a table for people, JSON for programs. */
import type { CliIo } from './io.ts';

export type Row = Readonly<Record<string, unknown>>;

export function printJson(value: unknown, io: Pick<CliIo, 'out'>): void {
  io.out(`${JSON.stringify(value, null, 2)}\n`);
}

/** Columns as wide as what stands in them; a column that is empty in all rows is left out. */
export function printTable(rows: readonly Row[], columns: readonly string[], io: Pick<CliIo, 'out'>): void {
  const cells = rows.map((row) => columns.map((column) => cellOf(row[column])));
  const used = columns.map((_, index) => cells.some((line) => line[index] !== ''));
  const lines = [columns.map((column) => column.replaceAll('_', ' ').toUpperCase()), ...cells].map((line) =>
    line.filter((__, index) => used[index]),
  );
  const widths = (lines[0] ?? []).map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
  if (rows.length === 0) io.out('nothing\n');
  else
    for (const line of lines)
      io.out(
        `${line
          .map((cell, index) => cell.padEnd(widths[index] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
      );
}

/** One field a line. */
export function printRecord(record: Row, io: Pick<CliIo, 'out'>): void {
  const fields = Object.entries(record).filter(([, value]) => cellOf(value) !== '');
  const width = Math.max(0, ...fields.map(([name]) => name.length));
  for (const [name, value] of fields) io.out(`${name.padEnd(width)}  ${cellOf(value)}\n`);
}

/** Without control characters: names are other people's, terminals obey them. */
function cellOf(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value))
    return value.map((each) => (typeof each === 'object' ? JSON.stringify(each) : String(each))).join(',');
  if (typeof value === 'object' && Object.keys(value).length === 0) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.replace(/\p{Cc}/gu, '�');
}
