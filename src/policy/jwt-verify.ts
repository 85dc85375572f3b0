/** Whether a token is genuine: jose over the issuer's keys, which come by our own way out. */
import type { JSONWebKeySet } from 'jose';

import type { JwtSettings } from '../config/snapshot.ts';
import { GatewayError } from '../core/errors.ts';
import type { Claims } from '../core/person.ts';
import { createKeySet } from './key-set.ts';

/** A JSON document from a URL. `outside`: the URL came from outside the operator's file. */
export type FetchJson = (url: string, outside: boolean) => Promise<unknown>;

/** What the issuer's clock may differ from ours. */
export const CLOCK_SKEW_S = 30;

/**
 * Claims of a token that the issuer signed by an allowed algorithm, for this audience, and that is alive. Undefined where it is not. Rejects with `invalid_key` where it
 * is genuine but past its time, and with `identity_unavailable` where the issuer's keys cannot be had.
 */
export function createVerify(
  settings: JwtSettings,
  { fetchJson, nowMs }: { fetchJson: FetchJson; nowMs: () => number },
): (token: string) => Promise<Claims | undefined> {
  // Loaded with the first token: most installations never see one.
  const ready = once(async () => {
    const { createLocalJWKSet, errors, jwtVerify } = await import('jose');
    const load = () => loadKeys(settings, fetchJson);
    return { keys: createKeySet({ load, index: createLocalJWKSet, nowMs }), errors, jwtVerify };
  });
  return async (token) => {
    const { keys, errors, jwtVerify } = await ready();
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer: settings.issuer,
        audience: settings.audience,
        algorithms: settings.algorithms,
        clockTolerance: CLOCK_SKEW_S,
        requiredClaims: ['exp', 'sub'],
        currentDate: new Date(nowMs()),
      });
      return payload;
    } catch (thrown) {
      if (thrown instanceof GatewayError) throw thrown;
      // Told only to who holds a genuine token: the claims are looked at after the signature.
      if (thrown instanceof errors.JWTExpired) throw expired();
      return undefined;
    }
  };
}

function expired(): GatewayError {
  return new GatewayError('invalid_key', { details: { message: 'The token has expired' } });
}

/** Where the keys are: as the operator says, or as the issuer's own document does, if that document is the issuer's. */
async function loadKeys({ issuer, jwksUrl }: JwtSettings, fetchJson: FetchJson): Promise<JSONWebKeySet> {
  if (jwksUrl !== undefined) return keysIn(await fetchJson(jwksUrl, false));
  const about = (await fetchJson(`${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`, false)) as Claims;
  const { issuer: named, jwks_uri: url } = about;
  if (named !== issuer || typeof url !== 'string') throw new Error('the discovery document is not that of the issuer');
  return keysIn(await fetchJson(url, URL.parse(url)?.origin !== URL.parse(issuer)?.origin));
}

function keysIn(document: unknown): JSONWebKeySet {
  const { keys } = (document ?? {}) as Partial<JSONWebKeySet>;
  if (!Array.isArray(keys)) throw new Error('the document holds no keys');
  return { keys };
}

function once<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let made: Promise<Value> | undefined;
  return () => (made ??= make());
}
