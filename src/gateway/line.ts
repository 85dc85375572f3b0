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
import { type Redact, createRedact } from '../telemetry/redact.ts';
import { createWebhookGuard } from './guard-webhook.ts';
import type { Guard } from './guard.ts';

/** One snapshot, indexed for the hot path. An exchange keeps the line it began on, so that a reload never changes it midway. */
export interface Line {
  snapshot: Snapshot;
  authenticate: AuthenticateCall;
  resolve: Resolve;
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

/** `callerOfToken`: where tokens of an issuer stand for keys. */
export function createLine(snapshot: Snapshot, directory: DirectoryIndex, callerOfToken?: CallerOfToken): Line {
  const byKey = createAuthenticate(snapshot, directory);
  const providers = new Map(Object.entries(snapshot.providers));
  const rules = {
    models: new Map(Object.entries(snapshot.rules.models)),
    targets: new Map(Object.entries(snapshot.rules.targets)),
    providers: new Map(Object.entries(snapshot.rules.providers)),
  };
  return {
    snapshot,
    authenticate: callerOfToken === undefined ? byKey : withTokens(byKey, callerOfToken),
    resolve: createResolve(snapshot.models, mayUseModel),
    modelRules: ({ model }) => present([rules.models.get(model.name)]),
    targetRules: ({ id, configuredId, provider }) =>
      present([rules.targets.get(configuredId ?? id), rules.providers.get(provider)]),
    planOf: createPlans(createWindows()),
    provider: (target) => {
      const provider = providers.get(target.provider);
      if (provider === undefined) throw new GatewayError('internal', { details: { provider: target.provider } });
      return provider;
    },
    modelsOf: (caller) =>
      snapshot.models.filter((model) => model.wildcardPrefix === undefined && mayUseModel(caller, model.name)),
    redact: createRedact(credentialsOf(snapshot)),
    guards: snapshot.guards.map(createWebhookGuard),
  };
}

function present(rules: readonly (Rules | undefined)[]): Rules[] {
  return rules.filter((each) => each !== undefined);
}

function credentialsOf(snapshot: Snapshot): string[] {
  const endpoints = Object.values(snapshot.providers).flatMap((provider) => provider.endpoints);
  return endpoints.flatMap((endpoint) => Object.values(endpoint.headers));
}
