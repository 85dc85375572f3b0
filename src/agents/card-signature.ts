/**
 * Whether the signatures of a card hold (A2A 1.0.1 §8.4, A2A 0.3.0 §5.5.6): JWS over the canonical JSON of the card without them. By the operator's keys only: what a
 * card names itself (`jku`) is the key of whoever wrote the card, and another address to be sent to.
 */
import type { FlattenedJWSInput, FlattenedVerifyGetKey, JSONWebKeySet } from 'jose';

import type { JsonObject } from './a2a/methods.ts';
import { objectOf } from './a2a/read.ts';
import { canonical, readCard } from './card.ts';

/** `unverified`: no key of ours made any of them. `invalid`: one of ours did, of another card than this, or it is no signature. */
export type CardSignature = 'none' | 'valid' | 'invalid' | 'unverified';

export interface CardKeys {
  /** Where the keys are that the operator trusts. */
  urls: readonly string[];
  jwksOf: (url: string) => Promise<JSONWebKeySet>;
}

const MAX_SIGNATURES = 16;
/** Never a secret that both sides know. */
const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
/** The key is not among those we have, or several could be it. */
const UNKNOWN_KEY = new Set(['ERR_JWKS_NO_MATCHING_KEY', 'ERR_JWKS_MULTIPLE_MATCHING_KEYS', 'ERR_JOSE_NOT_SUPPORTED']);

/** One that holds is enough. Never rejects: keys that cannot be had prove nothing. */
export async function verifyCard(card: Readonly<JsonObject>, keys: CardKeys): Promise<CardSignature> {
  const { signatures, ...content } = card;
  if (!Array.isArray(signatures) || signatures.length === 0) return 'none';
  const finders = await findersOf(keys);
  if (finders.length === 0) return 'unverified';
  const payloads = await payloadsOf(content);
  const verdicts = await Promise.all(
    signatures.slice(0, MAX_SIGNATURES).flatMap((signature) => {
      const { protected: head, signature: value, header } = objectOf(signature) ?? {};
      const jws = { protected: head, signature: value, ...(objectOf(header) !== undefined && { header }) };
      return finders.flatMap((find) => payloads.map((payload) => verdictOn({ ...jws, payload } as FlattenedJWSInput, find)));
    }),
  );
  return (['valid', 'invalid'] as const).find((verdict) => verdicts.includes(verdict)) ?? 'unverified';
}

async function findersOf({ urls, jwksOf }: CardKeys): Promise<FlattenedVerifyGetKey[]> {
  const { createLocalJWKSet } = await import('jose');
  const found = await Promise.allSettled(urls.map(async (url) => createLocalJWKSet(await jwksOf(url))));
  return found.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
}

async function verdictOn(jws: FlattenedJWSInput, find: FlattenedVerifyGetKey): Promise<CardSignature> {
  const { flattenedVerify } = await import('jose');
  try {
    await flattenedVerify(jws, find, { algorithms: ALGORITHMS });
    return 'valid';
  } catch (thrown) {
    return UNKNOWN_KEY.has((thrown as { code?: string }).code ?? '') ? 'unverified' : 'invalid';
  }
}

/**
 * What may have been signed, in base64url: the card as it stands, the card without what is empty, or what 1.0 knows of it. The last leaves out whatever is not of 1.0, so it
 * vouches for a card only where it says the same as the card of all that is acted on.
 */
async function payloadsOf(content: JsonObject): Promise<string[]> {
  const { canonicalizeAgentCard } = await import('@a2a-js/sdk');
  const forms = [canonical(content), canonical(withoutEmpty(content) ?? {})];
  try {
    const modern = canonicalizeAgentCard(content as unknown as Parameters<typeof canonicalizeAgentCard>[0]);
    if (actedOn(modern) === actedOn(JSON.stringify(content))) forms.push(modern);
  } catch {
    // No card of 1.0.
  }
  return [...new Set(forms)].map((form) => Buffer.from(form).toString('base64url'));
}

function actedOn(card: string): string {
  const read = readCard(card);
  if (!read.ok) return read.problem;
  const { raw: _, hash: __, trustHash: ___, signed: ____, protocol: _____, ...facts } = read.card;
  return canonical(facts);
}

/** Undefined: nothing is left. */
function withoutEmpty(value: unknown): unknown {
  if (value === '' || value === null) return undefined;
  if (Array.isArray(value)) return filled(value.map(withoutEmpty).filter((each) => each !== undefined));
  const object = objectOf(value);
  if (object === undefined) return value;
  return filled(
    Object.fromEntries(
      Object.entries(object).flatMap(([name, each]) => {
        const left = withoutEmpty(each);
        return left === undefined ? [] : [[name, left]];
      }),
    ),
  );
}

function filled<Value extends object>(value: Value): Value | undefined {
  return Object.keys(value).length > 0 ? value : undefined;
}
