/** What is spent of budgets in their present windows, as the ledger of the store has it. */
import type { WindowKind } from '../core/rules.ts';
import type { Scope } from '../core/rules.ts';
import { createWindows } from '../ledger/window.ts';
import type { LedgerPort } from '../store/ports/ledger.ts';
import { isoOf, usdOf } from './contract/fields.ts';

interface BudgetView {
  window: WindowKind;
  time_zone: string;
  spent_usd?: number | undefined;
  window_start?: string | undefined;
}

/** Writes `spent_usd` and `window_start` into every budget. One question to the store, however many there are. */
export async function fillSpent(
  entities: readonly { scope: Scope; budgets: readonly BudgetView[] }[],
  { ledger, nowMs }: { ledger: Pick<LedgerPort, 'spentSince'>; nowMs: number },
): Promise<void> {
  const windowOf = createWindows();
  const wanted = entities.flatMap(({ scope, budgets }) =>
    budgets.map((budget) => ({ budget, scope, sinceMs: windowOf(budget.window, budget.time_zone, nowMs).startMs })),
  );
  if (wanted.length === 0) return;
  const spent = await ledger.spentSince(wanted.map(({ scope, sinceMs }) => ({ scope, sinceMs })));
  for (const [index, { budget, sinceMs }] of wanted.entries()) {
    budget.spent_usd = usdOf(spent[index] ?? 0);
    if (sinceMs > 0) budget.window_start = isoOf(sinceMs);
  }
}
