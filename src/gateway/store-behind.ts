import { rulesOfAgent } from '../core/agent.ts';
import { GatewayError } from '../core/errors.ts';
import type { Rules } from '../core/rules.ts';
import type { Exchange } from './exchange.ts';

const RETRY_AFTER_S = 30;

/**
 * A hard budget is a promise that what is spent gets written down. While more facts wait for a store that is down than may, no more is spent under one; all other
 * calls go on. Throws store_down.
 */
export function refuseWhileStoreIsBehind(exchange: Exchange): void {
  if (!exchange.plane.storeIsBehind()) return;
  const { caller, endUserRules = [] } = exchange;
  const rules = [...caller!.rules, ...endUserRules, ...rulesOfAsked(exchange)];
  const hard = rules.find(({ budgets }) => budgets.some((budget) => budget.hard));
  if (hard === undefined) return;
  const message = 'The store is down, and too much waits for it to be written: nothing can be spent under a hard budget now';
  throw new GatewayError('store_down', { details: { message, scope: hard.scope, retryAfterS: RETRY_AFTER_S } });
}

/** Of what is asked: an agent, or a model and all that may serve it. */
function rulesOfAsked({ agentWork, behind, line, resolved }: Exchange): readonly Rules[] {
  if (agentWork !== undefined) return rulesOfAgent(agentWork.view);
  return [
    ...(behind === undefined ? [] : rulesOfAgent(behind.view)),
    ...line.modelRules(resolved!),
    ...resolved!.targets.flatMap((target) => line.targetRules(target)),
  ];
}
