/** All tables, group by group. */
import type { LedgerTables } from './tables/ledger.ts';
import type { UsageTables } from './tables/usage.ts';

export type Tables = LedgerTables & UsageTables;
