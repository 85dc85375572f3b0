/**
 * Tokens of an identity provider in the place of keys. A token is verified once and then remembered, by the SHA-256 of all of it, for as long as it lives but
 * at most a minute; whom it stands for is looked up in the directory at every use, so that who is blocked is refused at once.
 */
import { hash } from 'node:crypto';

import type { JwtSettings } from '../config/snapshot.ts';
import type { Caller, KeyEntry } from '../core/directory.ts';
import { GatewayError } from '../core/errors.ts';
import { type Claims, type VouchedPerson, readPerson } from '../core/person.ts';
import { createLru } from '../lib/lru.ts';
import type { Usable } from './caller.ts';
import type { DirectoryIndex } from './directory-index.ts';
import { CLOCK_SKEW_S } from './jwt-verify.ts';

/** Whom a vouched person is here. */
export interface AdmittedPerson {
  /** `usr_…` */
  user: string;
  /** Whose budget and limits hold for the call. */
  team?: string;
  org?: string;
}

/** Undefined: the person is not let in. Rejects where that cannot be told now. */
export type AdmitPerson = (person: VouchedPerson) => Promise<AdmittedPerson | undefined>;

export interface JwtParts {
  settings: JwtSettings;
  /** The claims of a token that is genuine, of the issuer, for the audience and alive; undefined where it is not. See `createVerify`. */
  verify: (token: string) => Promise<Claims | undefined>;
  admit: AdmitPerson;
  directory: Pick<DirectoryIndex, 'vouchFor' | 'generation'>;
  nowMs: () => number;
}

/** Undefined: the token proves nothing. Rejects with forbidden, invalid_key or identity_unavailable. */
export type CallerOfToken = (token: string) => Caller | undefined | Promise<Caller | undefined>;

const REMEMBERED_TOKENS = 4_096;
const REMEMBERED_MS = 60_000;
/** People whose admission is known if main cannot be asked. */
const REMEMBERED_PEOPLE = 4_096;

interface Remembered {
  key: KeyEntry;
  untilMs: number;
  /** Of this generation of the directory. */
  usable: Usable | undefined;
  generation: number;
}

export function createCallerOfToken(parts: JwtParts): CallerOfToken {
  const { settings, directory, nowMs } = parts;
  const tokens = createLru<string, Remembered>(REMEMBERED_TOKENS);
  const admit = rememberingAdmit(parts.admit);

  const callerOf = (token: Remembered): Caller | undefined => {
    if (token.generation !== directory.generation()) {
      token.generation = directory.generation();
      token.usable = directory.vouchFor(token.key, nowMs());
    }
    return token.usable !== undefined && nowMs() < token.usable.untilMs ? token.usable.caller : undefined;
  };
  const look = async (token: string, hashed: string): Promise<Caller | undefined> => {
    const claims = await parts.verify(token);
    if (claims === undefined) return undefined;
    const person = readPerson(settings.issuer, claims, settings.people);
    const admitted = person === undefined ? undefined : await admit(person);
    if (person === undefined || admitted === undefined) throw notLetIn();
    const endsAtMs = Number(claims['exp']) * 1000;
    const key = keyOf(settings, person, { admitted, expiresAtMs: endsAtMs + CLOCK_SKEW_S * 1000 });
    const untilMs = Math.min(endsAtMs, nowMs() + REMEMBERED_MS);
    const remembered = { key, untilMs, usable: undefined, generation: -1 };
    tokens.set(hashed, remembered);
    return callerOf(remembered);
  };

  return (token) => {
    const hashed = hash('sha256', token, 'base64');
    const known = tokens.get(hashed);
    return known !== undefined && nowMs() < known.untilMs ? callerOf(known) : look(token, hashed);
  };
}

/** The key that a token stands for: nobody presents it, it is never stored, and the ledger knows it by the person's subject. */
function keyOf(
  settings: JwtSettings,
  { subject }: VouchedPerson,
  { admitted, expiresAtMs }: { admitted: AdmittedPerson; expiresAtMs: number },
): KeyEntry {
  const { user, team, org } = admitted;
  return {
    id: `jwt:${subject}`,
    name: `jwt:${subject}`,
    digests: [],
    models: settings.models,
    agents: [],
    blocked: false,
    expiresAtMs,
    principal: user,
    ...(team !== undefined && { team }),
    ...(org !== undefined && team === undefined && { org }),
    tags: [],
  };
}

/** What main last said of the same person with the same groups holds while main cannot say more: a store that is down makes no stranger of anybody. */
function rememberingAdmit(admit: AdmitPerson): AdmitPerson {
  const known = createLru<string, AdmittedPerson>(REMEMBERED_PEOPLE);
  return async (person) => {
    const { issuer, subject, memberships } = person;
    const about = hash('sha256', JSON.stringify([issuer, subject, memberships]), 'base64');
    try {
      const admitted = await admit(person);
      if (admitted !== undefined) known.set(about, admitted);
      return admitted;
    } catch (unsaid) {
      const before = known.get(about);
      if (before === undefined) throw new GatewayError('identity_unavailable', { cause: unsaid, details: { retryAfterS: 5 } });
      return before;
    }
  };
}

function notLetIn(): GatewayError {
  const message = 'The issuer vouches for this token, but who it stands for is not let in here';
  return new GatewayError('forbidden', { details: { message } });
}
