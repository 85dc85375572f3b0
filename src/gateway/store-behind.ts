import { GatewayError } from '../core/errors.ts';
import type { Exchange } from './exchange.ts';

const RETRY_AFTER_S = 30;

/**
 * A hard budget is a promise that what is spent gets written down. While more facts wait for a store that is down than may, no more is spent under one; all other
 * calls go on. Throws store_down.
 */
export function refuseWhileStoreIsBehind({ plane, caller, endUserRules = [], line, resolved }: Exchange): void {
  if (!plane.storeIsBehind()) return;
  const rules = [
    ...caller!.rules,
    ...endUserRules,
    ...line.modelRules(resolved!),
    ...resolved!.targets.flatMap((target) => line.targetRules(target)),
  ];
  const hard = rules.find(({ budgets }) => budgets.some((budget) => budget.hard));
  if (hard === undefined) return;
  const message = 'The store is down, and too much waits for it to be written: nothing can be spent under a hard budget now';
  throw new GatewayError('store_down', { details: { message, scope: hard.scope, retryAfterS: RETRY_AFTER_S } });
}
