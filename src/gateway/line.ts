import type { KeyRecord, PricedTarget, Provider, Snapshot } from '../config/snapshot.ts';
import { GatewayError } from '../core/errors.ts';
import { type Authenticate, createAuthenticate } from '../policy/authenticate.ts';
import { mayUseModel } from '../policy/authorize.ts';
import { type Resolve, createResolve } from '../routing/resolve.ts';
import { type Redact, createRedact } from '../telemetry/redact.ts';

/** One snapshot, indexed for the hot path. An exchange keeps the line it began on, so that a reload never changes it midway. */
export interface Line {
  snapshot: Snapshot;
  authenticate: Authenticate;
  resolve: Resolve;
  provider: (target: PricedTarget) => Provider;
  /** Models a key may use, without wildcards. */
  modelsOf: (key: KeyRecord) => Snapshot['models'];
  /** Takes every credential of this snapshot out of a text that an upstream wrote. */
  redact: Redact;
}

export function createLine(snapshot: Snapshot): Line {
  const providers = new Map(Object.entries(snapshot.providers));
  return {
    snapshot,
    authenticate: createAuthenticate(snapshot),
    resolve: createResolve(snapshot.models, mayUseModel),
    provider: (target) => {
      const provider = providers.get(target.provider);
      if (provider === undefined) throw new GatewayError('internal', { details: { provider: target.provider } });
      return provider;
    },
    modelsOf: (key) => snapshot.models.filter((model) => model.wildcardPrefix === undefined && mayUseModel(key, model.name)),
    redact: createRedact(credentialsOf(snapshot)),
  };
}

function credentialsOf(snapshot: Snapshot): string[] {
  const endpoints = Object.values(snapshot.providers).flatMap((provider) => provider.endpoints);
  return endpoints.flatMap((endpoint) => Object.values(endpoint.headers));
}
