/** Main's places for end users, with the store behind their budgets. */
import type { Budget, Scope } from '../core/rules.ts';
import { fillAccounts } from '../ledger/fill-accounts.ts';
import { createWindows } from '../ledger/window.ts';
import { type EndUserPlaces, type EndUserRules, createEndUserPlaces } from '../policy/end-user-places.ts';
import type { Store } from '../store/store.ts';
import type { SharedOverview } from './shared-state.ts';
import type { SlotBook } from './slots.ts';

export interface EndUserParts {
  store: Pick<Store, 'ledger'>;
  shared: Pick<SharedOverview, 'accounts' | 'endUsers' | 'leased'>;
  slots: SlotBook;
  rules: EndUserRules | undefined;
  nowMs: () => number;
}

export function endUserPlaces({ store, shared, slots, rules, nowMs }: EndUserParts): EndUserPlaces {
  const { accounts } = shared;
  const windowOf = createWindows();
  const fill = async (slot: number, scope: Scope, { window, timeZone, hard }: Budget): Promise<void> => {
    try {
      await fillAccounts({ ledger: store.ledger, accounts, windowOf, nowMs }, [
        { slot, scope, window, timeZone, isReused: true },
      ]);
    } catch (error) {
      if (hard) throw error;
      // A budget that refuses nobody need not stop anybody: it begins anew.
      await accounts.load(slot, windowOf(window, timeZone, nowMs()).startMs, 0);
    }
  };
  const leased = (slot: number): number => shared.leased(slot);
  const reserved = (slot: number): number => accounts.read(slot).reservedNanoUsd;
  return createEndUserPlaces(
    { marks: shared.endUsers, slotOf: slots.ownSlotOf, leased, reserved, fill, nowMs: () => performance.now() },
    rules,
  );
}
