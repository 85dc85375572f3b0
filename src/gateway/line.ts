import type { PricedTarget, Provider, Snapshot } from '../config/snapshot.ts';
import type { Caller } from '../core/directory.ts';
import { GatewayError } from '../core/errors.ts';
import type { Rules } from '../core/rules.ts';
import { createWindows } from '../ledger/window.ts';
import { type AuthenticateCall, withTokens } from '../policy/authenticate-call.ts';
import { createAuthenticate } from '../policy/authenticate.ts';
import { mayUseModel } from '../policy/authorize.ts';
import { type PlanOf, createPlans } from '../policy/budget.ts';
import type { DirectoryIndex } from '../policy/directory-index.ts';
import type { CallerOfToken } from '../policy/jwt.ts';
import { type Resolve, type ResolvedModel, createResolve } from '../routing/resolve.ts';
import { createLru } from '../lib/lru.ts';
import { type Redact, createRedact } from '../telemetry/redact.ts';
import { createWebhookGuard } from './guard-webhook.ts';
import type { Guard } from './guard.ts';
import { type PlannerOf, type RoutingSources, createPlanners } from './planners.ts';
import type { Surface } from './surface.ts';

/** One snapshot, indexed for the hot path. An exchange keeps the line it began on, so that a reload never changes it midway. */
export interface Line {
  snapshot: Snapshot;
  authenticate: AuthenticateCall;
  resolve: Resolve;
  /** A key by its id, without what it proves itself with. Undefined: nobody could use it now. */
  callerOfKey: (id: string, nowMs: number) => Caller | undefined;
  /** As the operator names it: what a model falls back to comes with it. Throws model_not_found. */
  resolveFallback: (name: string) => ResolvedModel;
  /** Where shared memory counts the retries of a model. */
  placeOf: (resolved: ResolvedModel) => number;
  /** The model with those of its targets that can serve the surface. */
  servedOn: (surface: Surface, resolved: ResolvedModel) => ResolvedModel;
  /** Of a model as `servedOn` gave it. */
  plannerOf: PlannerOf;
  provider: (target: PricedTarget) => Provider;
  /** Limits and budgets of what an exchange chose; callers bring theirs along. */
  modelRules: (resolved: ResolvedModel) => readonly Rules[];
  /** The target's and its provider's. */
  targetRules: (target: PricedTarget) => readonly Rules[];
  /** Budgets of a caller at a model and target. */
  planOf: PlanOf;
  /** Models a caller may use, without wildcards. */
  modelsOf: (caller: Caller) => Snapshot['models'];
  /** Takes every credential of this snapshot out of a text that an upstream wrote. */
  redact: Redact;
  guards: readonly Guard[];
}

export interface LineParts {
  directory: DirectoryIndex;
  routing: RoutingSources;
  /** Where tokens of an issuer stand for keys. */
  callerOfToken?: CallerOfToken | undefined;
}

export function createLine(snapshot: Snapshot, { directory, routing, callerOfToken }: LineParts): Line {
  const byKey = createAuthenticate(snapshot, directory);
  const providers = new Map(Object.entries(snapshot.providers));
  const rules = {
    models: new Map(Object.entries(snapshot.rules.models)),
    targets: new Map(Object.entries(snapshot.rules.targets)),
    providers: new Map(Object.entries(snapshot.rules.providers)),
  };
  const provider = (target: PricedTarget): Provider => {
    const found = providers.get(target.provider);
    if (found === undefined) throw new GatewayError('internal', { details: { provider: target.provider } });
    return found;
  };
  const targetRules: Line['targetRules'] = ({ id, configuredId, provider: name }) =>
    present([rules.targets.get(configuredId ?? id), rules.providers.get(name)]);
  const anybody = createResolve(snapshot.models, () => true);
  const endpointsOf = (target: PricedTarget): Provider['endpoints'] => provider(target).endpoints;
  return {
    snapshot,
    authenticate: callerOfToken === undefined ? byKey : withTokens(byKey, callerOfToken),
    callerOfKey: (id, nowMs) => directory.keyOf(id, nowMs)?.caller,
    resolve: createResolve(snapshot.models, mayUseModel),
    resolveFallback: (name) => anybody(name, NOBODY),
    placeOf: ({ model }) => snapshot.places!.models[model.name]!,
    servedOn: createServedOn(provider),
    plannerOf: createPlanners(routing, { places: snapshot.places, endpointsOf, rulesOf: targetRules }),
    modelRules: ({ model }) => present([rules.models.get(model.name)]),
    targetRules,
    planOf: createPlans(createWindows()),
    provider,
    modelsOf: (caller) => snapshot.models.flatMap(underAllNames).filter(({ name }) => mayUseModel(caller, name)),
    redact: createRedact(credentialsOf(snapshot)),
    guards: snapshot.guards.map(createWebhookGuard),
  };
}

/** Names that clients make up under wildcards; what is forgotten is made again. */
const MAX_REMEMBERED = 1_000;

/** The same answer for the same question, so that a model has one planner per surface. */
function createServedOn(provider: Line['provider']): Line['servedOn'] {
  const remembered = createLru<string, ResolvedModel>(MAX_REMEMBERED);
  const served = new WeakMap<readonly PricedTarget[], Map<Surface, readonly PricedTarget[]>>();
  const filtered = (surface: Surface, targets: readonly PricedTarget[]): readonly PricedTarget[] => {
    const bySurface = served.get(targets) ?? new Map<Surface, readonly PricedTarget[]>();
    served.set(targets, bySurface);
    const found = bySurface.get(surface) ?? targets.filter((target) => surface.isNative(provider(target)));
    bySurface.set(surface, found);
    return found;
  };
  return (surface, resolved) => {
    const same = resolved.viaWildcard ? (remembered.get(resolved.name) ?? resolved) : resolved;
    if (resolved.viaWildcard && same === resolved) remembered.set(resolved.name, resolved);
    // Where a translation exists, all targets serve it.
    return surface.dialect === undefined ? { ...same, targets: filtered(surface, same.targets) } : same;
  };
}

/** Without wildcards, which are names of nothing in particular. */
function underAllNames(model: Snapshot['models'][number]): Snapshot['models'] {
  if (model.wildcardPrefix !== undefined) return [];
  return [model, ...(model.aliases ?? []).map((name) => Object.assign({}, model, { name }))];
}

const NOBODY = {} as Caller;

function present(rules: readonly (Rules | undefined)[]): Rules[] {
  return rules.filter((each) => each !== undefined);
}

function credentialsOf(snapshot: Snapshot): string[] {
  const endpoints = Object.values(snapshot.providers).flatMap((provider) => provider.endpoints);
  return endpoints.flatMap((endpoint) => Object.values(endpoint.headers));
}
