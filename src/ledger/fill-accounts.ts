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

/** Rejects where the store cannot tell; then the rules that need these accounts must not come into force. */
export async function fillAccounts(
  { ledger, accounts, windowOf, nowMs }: FillParts,
  fresh: readonly NewAccount[],
): Promise<void> {
  for (let from = 0; from < fresh.length; from += QUESTIONS) {
    const some = fresh.slice(from, from + QUESTIONS);
    const starts = some.map(({ window, timeZone }) => windowOf(window, timeZone, nowMs()).startMs);
    const spent = await ledger.spentSince(some.map(({ scope }, at) => ({ scope, sinceMs: starts[at]! })));
    for (const [at, { slot, isReused }] of some.entries()) {
      if (isReused || spent[at] !== 0) await accounts.load(slot, starts[at]!, spent[at]!);
    }
  }
}
