/** All tables, group by group. */
import type { AgentTables } from './tables/agents.ts';
import type { AuditTables } from './tables/audit.ts';
import type { DocumentTables } from './tables/documents.ts';
import type { EntitiesTables } from './tables/entities.ts';
import type { LedgerTables } from './tables/ledger.ts';
import type { PeopleTables } from './tables/people.ts';
import type { PushTables } from './tables/pushes.ts';
import type { UsageTables } from './tables/usage.ts';

export type Tables = AgentTables &
  AuditTables &
  DocumentTables &
  EntitiesTables &
  LedgerTables &
  PeopleTables &
  PushTables &
  UsageTables;
