/** Fields that several resources share, and what they look like on the wire: snake_case, times ISO 8601, money in USD. */
import * as z from 'zod';

import { text } from '../../config/schema-parts.ts';
import { dateProblem } from '../../config/values.ts';
import type { NanoUsd } from '../../core/money.ts';

const NANO_PER_USD = 1_000_000_000;
const MAX_PAGE = 1_000;
const DEFAULT_PAGE = 100;

/** For people and JSON; the ledger itself knows whole nano-USD only. */
export function usdOf(nano: NanoUsd): number {
  return nano / NANO_PER_USD;
}

export function isoOf(ms: number): string {
  return new Date(ms).toISOString();
}

export const isoTime = z.string().describe('ISO 8601, UTC.');
export const usd = z.number().describe('USD.');

/** An id in a path. It need not look like one of ours: keys of the file go by their names. */
export const pathId = text().max(256);

/** A whole number in a query. */
export function queryInt(least: number, most: number) {
  const message = `must be a whole number from ${least} to ${most}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, message)
    .transform(Number)
    .refine((value) => value >= least && value <= most, message);
}

/** A time in a query, as epoch ms. */
export const queryTime = text(dateProblem)
  .transform((value) => Date.parse(value))
  .describe('A date, or a date and time with its zone.');

/** A time and an id; agents' task ids have up to 512 characters. */
const MAX_CURSOR = 640;

/** What every list takes. `after` is the `next` of the page before. */
export const pageQuery = {
  after: text().max(MAX_CURSOR).exactOptional().describe('`next` of the page before.'),
  limit: queryInt(1, MAX_PAGE)
    .default(DEFAULT_PAGE)
    .describe(`Most rows of a page, 1 to ${MAX_PAGE}; ${DEFAULT_PAGE} if absent.`),
};

/** What every list answers. */
export function pageOf<Row extends z.ZodType>(row: Row) {
  return z.object({
    data: z.array(row),
    next: z.string().nullable().describe('Hand it in as `after` for the next page; null: this is the last.'),
  });
}

/** A page out of one row more than was asked for. */
export function pageFrom<Row>(
  rows: readonly Row[],
  limit: number,
  idOf: (row: Row) => string,
): { page: Row[]; next: string | null } {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return { page, next: rows.length > limit && last !== undefined ? idOf(last) : null };
}
