import type { Config } from './schema.ts';
import type { StoreSettings } from './snapshot.ts';

export function resolveStore({ url, on_down, max_journal_bytes, retention }: Config['store']): StoreSettings {
  return {
    ...(url !== undefined && { url }),
    onDown: on_down,
    maxJournalBytes: max_journal_bytes,
    retention: {
      requestsDays: retention.requests_days,
      bodiesDays: retention.bodies_days,
      hoursDays: retention.hours_days,
      daysDays: retention.days_days,
      ledgerDays: retention.ledger_days,
    },
  };
}
