/** The keys of an issuer of tokens: asked for when the first token comes, kept, and asked for again when they are old or one is missing. */
import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose';

import { GatewayError } from '../core/errors.ts';

export interface KeySetOptions {
  /** Asks the issuer. */
  load: () => Promise<JSONWebKeySet>;
  /** Makes keys findable; jose's own. */
  index: (keys: JSONWebKeySet) => JWTVerifyGetKey;
  nowMs: () => number;
}

/** From then on they are asked for again, in the background. */
const OLD_MS = 600_000;
/** An issuer that cannot be reached keeps its tokens good for so long; it makes no new ones meanwhile. */
const STALE_MS = 3_600_000;
/** A made-up key id must not become a request to the issuer each time. */
const COOL_DOWN_MS = 30_000;

/** Finds the key of a token. Rejects as jose does where there is none, with `identity_unavailable` where no keys could be had. */
export function createKeySet({ load, index, nowMs }: KeySetOptions): JWTVerifyGetKey {
  let current: { find: JWTVerifyGetKey; loadedAtMs: number } | undefined;
  let loading: Promise<void> | undefined;
  let askedAtMs = -Infinity;

  const renew = async (): Promise<void> => {
    try {
      current = { find: index(await load()), loadedAtMs: nowMs() };
    } finally {
      loading = undefined;
    }
  };
  const reload = (): Promise<void> => {
    if (loading !== undefined) return loading;
    askedAtMs = nowMs();
    loading = renew();
    return loading;
  };
  const mayAsk = (): boolean => loading !== undefined || nowMs() - askedAtMs >= COOL_DOWN_MS || nowMs() < askedAtMs;
  const usable = async (): Promise<JWTVerifyGetKey> => {
    const ageMs = current === undefined ? Infinity : nowMs() - current.loadedAtMs;
    if (current !== undefined && ageMs < STALE_MS) {
      if (ageMs >= OLD_MS && mayAsk()) reload().catch(() => undefined);
      return current.find;
    }
    if (mayAsk()) await reload().catch(() => undefined);
    if (current === undefined || nowMs() - current.loadedAtMs >= STALE_MS) throw unavailable();
    return current.find;
  };

  return async (header, token) => {
    const find = await usable();
    try {
      return await find(header, token);
    } catch (missing) {
      // The issuer may have a new key since.
      if (!mayAsk()) throw missing;
      await reload().catch(() => undefined);
      return (await usable())(header, token);
    }
  };
}

function unavailable(): GatewayError {
  return new GatewayError('identity_unavailable', { details: { retryAfterS: 5 } });
}
