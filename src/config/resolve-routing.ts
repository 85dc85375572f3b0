/** A model's routing as the data plane wants it. */
import type { Fallbacks, ModelRouting } from '../core/routing.ts';
import type { Target } from '../core/target.ts';
import type { ModelRoutingConfig, TargetRoutingConfig } from './schema-routing.ts';
import type { Model } from './snapshot.ts';

export function resolveRouting(config: ModelRoutingConfig): ModelRouting {
  const { failures, failure_share, window_s, open_s } = config.breaker;
  return {
    strategy: config.strategy,
    retries: config.retries,
    deadlineMs: config.deadline_ms,
    breaker: { failures, failureShare: failure_share, windowMs: window_s * 1000, openMs: open_s * 1000 },
    fallbacks: fallbacksOf(config),
    sticky: config.sticky ?? [],
    continueOnFailure: config.continue_on_failure,
  };
}

function fallbacksOf({ fallbacks, fallbacks_on }: ModelRoutingConfig): Fallbacks {
  return { ...(fallbacks !== undefined && { general: fallbacks }), ...fallbacks_on };
}

export function resolveTargetRouting({ order, tags, region, can_continue }: TargetRoutingConfig) {
  return {
    order,
    ...(tags !== undefined && { tags }),
    ...(region !== undefined && { region }),
    ...(can_continue && { canContinue: true }),
  } satisfies Partial<Target>;
}

/** Groups get the targets of their members, each target once. */
export function withGroups(models: readonly Model[], membersOf: ReadonlyMap<string, readonly string[]>): Model[] {
  const byName = new Map(models.map((model) => [model.name, model]));
  return models.map((model) => {
    const members = membersOf.get(model.name);
    if (members === undefined) return model;
    const targets = members.flatMap((name) => byName.get(name)?.targets ?? []);
    return { ...model, targets: [...new Map(targets.map((target) => [target.id, target])).values()] };
  });
}
