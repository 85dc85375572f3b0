/**
 * What Signalbox keeps beyond a run: the record of exchanges and money, entities, documents, the audit log, people. Groups of async functions over
 * plain data, because they are called across a thread; the same interface stands on both sides.
 */
import type { AgentsPort } from './ports/agents.ts';
import type { AuditPort } from './ports/audit.ts';
import type { DocumentsPort } from './ports/documents.ts';
import type { EntitiesPort } from './ports/entities.ts';
import type { FactsPort } from './ports/facts.ts';
import type { LedgerPort } from './ports/ledger.ts';
import type { PeoplePort } from './ports/people.ts';
import type { PushesPort } from './ports/pushes.ts';
import type { UsagePort } from './ports/usage.ts';

export interface Store {
  readonly facts: FactsPort;
  readonly ledger: LedgerPort;
  readonly usage: UsagePort;
  readonly entities: EntitiesPort;
  readonly documents: DocumentsPort;
  readonly audit: AuditPort;
  readonly people: PeoplePort;
  readonly agents: AgentsPort;
  readonly pushes: PushesPort;
  /** Ends what is open; nothing may be called after. */
  close(): Promise<void>;
}

/** Groups by name. */
export type StoreGroup = Exclude<keyof Store, 'close'>;

/**
 * `store_down`: it cannot be reached or written now, and may be later. `conflict`: something of that identity is there already, or has changed in between.
 * `not_found`: what was to be changed is not there. `failed`: a fault of ours.
 */
export type StoreErrorCode = 'store_down' | 'conflict' | 'not_found' | 'failed';

/** The only error that a group throws. Its message holds no values of rows. */
export class StoreError extends Error {
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'StoreError';
    this.code = code;
  }
}
