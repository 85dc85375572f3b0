import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

import type { KeyRecord, Snapshot } from '../config/snapshot.ts';
import { GatewayError } from '../core/errors.ts';
import { keyDigest } from '../core/key-digest.ts';

/** Where clients put their key, most specific first. The OpenAI, Anthropic, Gemini and Azure SDKs each have their own. */
const KEY_HEADERS = ['x-signalbox-key', 'x-api-key', 'x-goog-api-key', 'api-key'] as const;

export type Authenticate = (headers: IncomingHttpHeaders, nowMs: number) => KeyRecord;

/** Known keys whose full digest need not be computed again: making an HMAC costs four times as much as all else here. */
const REMEMBERED_KEYS = 4_096;

/**
 * Who is calling. Keys are found by their digest, HMAC(pepper, SHA-256(key)), so that neither the comparison's time nor the
 * table tells anything about a key; one that has been found is remembered under its SHA-256.
 *
 * Throws missing_key, invalid_key (unknown, blocked and expired alike: an outsider learns no difference), conflicting_keys
 * (two different valid keys), admin_key_on_inference.
 */
export function createAuthenticate(snapshot: Pick<Snapshot, 'keys' | 'pepper' | 'adminKeyDigest'>): Authenticate {
  const byDigest = new Map(snapshot.keys.map((key) => [key.digest, key]));
  const remembered = new Map<string, KeyRecord>();
  const find = (value: string): KeyRecord | 'admin' | undefined => {
    const hashed = hash('sha256', value, 'base64');
    const known = remembered.get(hashed);
    if (known !== undefined) return known;
    const digest = keyDigest(snapshot.pepper, value);
    const key = byDigest.get(digest);
    if (key !== undefined && remembered.size < REMEMBERED_KEYS) remembered.set(hashed, key);
    return key ?? (digest === snapshot.adminKeyDigest ? 'admin' : undefined);
  };

  return (headers, nowMs) => {
    const presented = presentedKeys(headers);
    if (presented.length === 0) throw new GatewayError('missing_key', { details: { message: MISSING_KEY_HINT } });
    let found: KeyRecord | undefined;
    let sawAdminKey = false;
    for (const value of presented) {
      const key = find(value);
      if (key === 'admin') sawAdminKey = true;
      if (key === undefined || key === 'admin' || !isUsable(key, nowMs)) continue;
      if (found !== undefined && found !== key) throw new GatewayError('conflicting_keys');
      found = key;
    }
    if (found === undefined) throw new GatewayError(sawAdminKey ? 'admin_key_on_inference' : 'invalid_key');
    return found;
  };
}

/** Whether the caller presents the admin key; the control plane, whose key it is, asks again. */
export function presentsAdminKey(snapshot: Pick<Snapshot, 'pepper' | 'adminKeyDigest'>, headers: IncomingHttpHeaders): boolean {
  const [, value] = BEARER.exec(headers.authorization ?? '') ?? [];
  return value !== undefined && keyDigest(snapshot.pepper, value) === snapshot.adminKeyDigest;
}

const MISSING_KEY_HINT =
  'No key was presented. Send your Signalbox key as `Authorization: Bearer …`, `x-api-key` or `x-signalbox-key`';

/** A scheme other than Bearer is no key; the value is taken as it stands, surrounding blanks aside. */
const BEARER = /^bearer +(\S.*)$/i;

function presentedKeys(headers: IncomingHttpHeaders): string[] {
  const values: string[] = [];
  for (const name of KEY_HEADERS) {
    const value = headers[name];
    if (typeof value === 'string' && value !== '' && !values.includes(value)) values.push(value);
  }
  const bearer = headers.authorization === undefined ? null : BEARER.exec(headers.authorization);
  if (bearer !== null && !values.includes(bearer[1]!)) values.push(bearer[1]!);
  return values;
}

function isUsable(key: KeyRecord, nowMs: number): boolean {
  return !key.blocked && (key.expiresAtMs === undefined || nowMs < key.expiresAtMs);
}
