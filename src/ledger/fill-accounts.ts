/** What has been spent before is in an account before anybody spends from it. */
import type { Scope, WindowKind } from '../core/rules.ts';
import type { LedgerPort } from '../store/ports/ledger.ts';
import type { AccountsOverview } from './accounts-overview.ts';
import type { WindowOf } from './window.ts';

/** A place that was given out. */
export interface NewAccount {
  slot: number;
  scope: Scope;
  window: WindowKind;
  timeZone: string;
  /** It was somebody else's before: what it holds is not nothing. */
  isReused: boolean;
}

export interface FillParts {
  ledger: Pick<LedgerPort, 'spentSince'>;
  accounts: Pick<AccountsOverview, 'load'>;
  windowOf: WindowOf;
  nowMs: () => number;
}

/** As many sums as one question to the store asks for. */
const QUESTIONS = 500;

/** Rejects where the store cannot tell; then the rules that need these accounts must not come into force. The next answer is on its way while one is worked on. */
export async function fillAccounts(parts: FillParts, fresh: readonly NewAccount[]): Promise<void> {
  let coming = ask(parts, fresh.slice(0, QUESTIONS));
  for (let next = QUESTIONS; ; next += QUESTIONS) {
    const answers = await coming;
    coming = ask(parts, fresh.slice(next, next + QUESTIONS));
    // It may fail while nobody waits for it yet.
    coming.catch(() => undefined);
    for (const { slot, sinceMs, spent, isReused } of answers) {
      if (isReused || spent !== 0) await parts.accounts.load(slot, sinceMs, spent);
    }
    if (next >= fresh.length) return;
  }
}

interface Answer extends NewAccount {
  sinceMs: number;
  spent: number;
}

async function ask({ ledger, windowOf, nowMs }: FillParts, accounts: readonly NewAccount[]): Promise<Answer[]> {
  if (accounts.length === 0) return [];
  const queries = accounts.map(({ scope, window, timeZone }) => ({
    scope,
    sinceMs: windowOf(window, timeZone, nowMs()).startMs,
  }));
  const spent = await ledger.spentSince(queries);
  return accounts.map((account, at) => ({ ...account, sinceMs: queries[at]!.sinceMs, spent: spent[at]! }));
}
