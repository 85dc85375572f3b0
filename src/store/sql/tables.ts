/** All tables, group by group. */
import type { LedgerTables } from './tables/ledger.ts';

export type Tables = LedgerTables;
