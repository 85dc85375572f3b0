import type { PricedTarget, Provider, Snapshot } from '../config/snapshot.ts';
import type { Caller } from '../core/directory.ts';
import { GatewayError } from '../core/errors.ts';
import { type Authenticate, createAuthenticate } from '../policy/authenticate.ts';
import { mayUseModel } from '../policy/authorize.ts';
import type { DirectoryIndex } from '../policy/directory-index.ts';
import { type Resolve, createResolve } from '../routing/resolve.ts';
import { type Redact, createRedact } from '../telemetry/redact.ts';

/** One snapshot, indexed for the hot path. An exchange keeps the line it began on, so that a reload never changes it midway. */
export interface Line {
  snapshot: Snapshot;
  authenticate: Authenticate;
  resolve: Resolve;
  provider: (target: PricedTarget) => Provider;
  /** Models a caller may use, without wildcards. */
  modelsOf: (caller: Caller) => Snapshot['models'];
  /** Takes every credential of this snapshot out of a text that an upstream wrote. */
  redact: Redact;
}

export function createLine(snapshot: Snapshot, directory: DirectoryIndex): Line {
  const providers = new Map(Object.entries(snapshot.providers));
  return {
    snapshot,
    authenticate: createAuthenticate(snapshot, directory),
    resolve: createResolve(snapshot.models, mayUseModel),
    provider: (target) => {
      const provider = providers.get(target.provider);
      if (provider === undefined) throw new GatewayError('internal', { details: { provider: target.provider } });
      return provider;
    },
    modelsOf: (caller) =>
      snapshot.models.filter((model) => model.wildcardPrefix === undefined && mayUseModel(caller, model.name)),
    redact: createRedact(credentialsOf(snapshot)),
  };
}

function credentialsOf(snapshot: Snapshot): string[] {
  const endpoints = Object.values(snapshot.providers).flatMap((provider) => provider.endpoints);
  return endpoints.flatMap((endpoint) => Object.values(endpoint.headers));
}
