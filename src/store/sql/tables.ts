/** All tables, group by group. */
import type { AuditTables } from './tables/audit.ts';
import type { EntitiesTables } from './tables/entities.ts';
import type { LedgerTables } from './tables/ledger.ts';
import type { UsageTables } from './tables/usage.ts';

export type Tables = AuditTables & EntitiesTables & LedgerTables & UsageTables;
