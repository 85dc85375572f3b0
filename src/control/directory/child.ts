/** What a key may give to a key that descends from it: no more than it has, for no longer. */
import type { KeyEntry } from '../../core/directory.ts';
import type { Budget, Limits, WindowKind } from '../../core/rules.ts';
import type { Key } from '../../store/ports/entities.ts';
import { invalid } from './change.ts';

/** A key, of the store or of the file, as far as it bounds others. */
export interface Bounds {
  models: readonly string[];
  agents: readonly string[];
  expiresAtMs?: number;
  limits?: Limits;
  budgets: readonly Budget[];
  priority: Key['priority'];
}

/** Of a key of the file. */
export function boundsOfEntry({ models, agents, expiresAtMs, rules, priority = 'normal' }: KeyEntry): Bounds {
  return {
    models,
    agents,
    ...(expiresAtMs !== undefined && { expiresAtMs }),
    limits: {
      ...(rules?.requests && { rpm: rules.requests.perMinute }),
      ...(rules?.tokens && { tpm: rules.tokens.perMinute }),
      ...(rules?.concurrent && { concurrent: rules.concurrent.most }),
    },
    budgets: rules?.budgets ?? [],
    priority,
  };
}

/** Throws invalid_request for the first thing that the parent does not have to give. What spends counts for the parent too, so budgets need no sum. */
export function requireWithin(child: Bounds, parent: Bounds): void {
  for (const [param, excess] of Object.entries(EXCESSES)) {
    const what = excess(child, parent);
    if (what !== undefined) throw invalid(param, what);
  }
}

type Excess = (child: Bounds, parent: Bounds) => string | undefined;

/** What the child would have and the parent has not, by the member of the input that says so. */
const EXCESSES: Readonly<Record<string, Excess>> = {
  models: (child, parent) => notGranted(child.models.find((grant) => !parent.models.some((own) => isWithin(grant, own)))),
  agents: (child, parent) => notGranted(child.agents.find((grant) => !parent.agents.some((own) => own === grant || own === '*'))),
  expires_at: (child, parent) =>
    more(child.expiresAtMs ?? Infinity, parent.expiresAtMs ?? Infinity, 'is later than that of the parent'),
  'limits.rpm': limitExcess('rpm'),
  'limits.tpm': limitExcess('tpm'),
  'limits.concurrent': limitExcess('concurrent'),
  budget: (child, parent) =>
    child.budgets.some((budget) => parent.budgets.some((own) => exceeds(budget, own)))
      ? 'is more than that of the parent'
      : undefined,
  priority: (child, parent) => more(RANKS[child.priority], RANKS[parent.priority], 'is higher than that of the parent'),
};

function limitExcess(name: keyof Limits): Excess {
  return (child, parent) => more(child.limits?.[name] ?? 0, parent.limits?.[name] ?? Infinity, 'is more than that of the parent');
}

function more(child: number, parent: number, complaint: string): string | undefined {
  return child > parent ? complaint : undefined;
}

function notGranted(grant: string | undefined): string | undefined {
  return grant === undefined ? undefined : `the parent does not grant \`${grant}\``;
}

/** Whether all that `grant` stands for is granted by `own`. */
export function isWithin(grant: string, own: string): boolean {
  return own.endsWith('*') ? grant.startsWith(own.slice(0, -1)) : grant === own;
}

const RANKS = { low: 0, normal: 1, high: 2 } as const;
const LENGTHS: Readonly<Record<WindowKind, number>> = { hour: 0, day: 1, week: 2, month: 3, total: 4 };

/** More money in a window that is no longer than the parent's. */
export function exceeds(budget: Budget, own: Budget): boolean {
  return budget.limitNanoUsd > own.limitNanoUsd && LENGTHS[budget.window] <= LENGTHS[own.window];
}
