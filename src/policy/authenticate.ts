import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

import type { Snapshot } from '../config/snapshot.ts';
import type { Caller } from '../core/directory.ts';
import { GatewayError } from '../core/errors.ts';
import { digestOfHash, keyDigest } from '../core/key-digest.ts';
import { isManagementToken } from '../core/key-format.ts';
import type { Usable } from './caller.ts';
import type { DirectoryIndex } from './directory-index.ts';

/** Where clients put their key, most specific first. The OpenAI, Anthropic, Gemini and Azure SDKs each have their own. */
export const KEY_HEADERS = ['x-signalbox-key', 'x-api-key', 'x-goog-api-key', 'api-key'] as const;

export type Authenticate = (headers: IncomingHttpHeaders, nowMs: number, clientIp: string) => Caller;

/** Known keys whose caller need not be put together again: making an HMAC alone costs four times as much as all else here. */
const REMEMBERED_KEYS = 4_096;

/**
 * Who is calling. Keys are found by their digest, HMAC(pepper, SHA-256(key)), so that neither the comparison's time nor the
 * table tells anything about a key; one that has been found is remembered under its SHA-256 until the directory changes.
 *
 * Throws missing_key, invalid_key (unknown, blocked, expired and from a wrong address alike: an outsider learns no difference),
 * conflicting_keys (two different valid keys), admin_key_on_inference.
 */
export function createAuthenticate(
  snapshot: Pick<Snapshot, 'pepper' | 'adminKeyDigest'>,
  directory: Pick<DirectoryIndex, 'find' | 'generation'>,
): Authenticate {
  let remembered = new Map<string, Usable>();
  let generation = -1;
  const find = (value: string, nowMs: number): Usable | 'admin' | undefined => {
    if (generation !== directory.generation() || remembered.size >= REMEMBERED_KEYS) {
      remembered = new Map();
      generation = directory.generation();
    }
    const hashed = hash('sha256', value, 'hex');
    const known = remembered.get(hashed);
    if (known !== undefined) return known;
    const digest = digestOfHash(snapshot.pepper, hashed);
    const usable = directory.find(digest, nowMs);
    if (usable !== undefined) remembered.set(hashed, usable);
    return usable ?? (digest === snapshot.adminKeyDigest || isManagementToken(value) ? 'admin' : undefined);
  };

  return (headers, nowMs, clientIp) => {
    const presented = presentedKeys(headers);
    if (presented.length === 0) throw new GatewayError('missing_key', { details: { message: MISSING_KEY_HINT } });
    let caller: Caller | undefined;
    let sawAdminKey = false;
    for (const value of presented) {
      const found = find(value, nowMs);
      if (found === 'admin') sawAdminKey = true;
      if (found === undefined || found === 'admin' || !accepts(found, nowMs, clientIp)) continue;
      if (caller !== undefined && caller.key !== found.caller.key) throw new GatewayError('conflicting_keys');
      caller = found.caller;
    }
    if (caller === undefined) throw new GatewayError(sawAdminKey ? 'admin_key_on_inference' : 'invalid_key');
    return caller;
  };
}

function accepts({ untilMs, acceptsIp }: Usable, nowMs: number, clientIp: string): boolean {
  return nowMs < untilMs && (acceptsIp === undefined || acceptsIp(clientIp));
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
