/** All that the control plane knows of people who sign on, following the configuration in force. */
import type { OidcSettings, Snapshot } from '../../config/snapshot.ts';
import type { VouchedPerson } from '../../core/person.ts';
import { readPerson } from '../../core/person.ts';
import type { Keyring } from '../../lib/seal.ts';
import type { Store } from '../../store/store.ts';
import type { AuditTrail } from '../contract/audit.ts';
import type { DirectoryService } from '../directory/directory.ts';
import { type Admit, createAdmit } from './admit.ts';
import { type Sessions, createSessions } from './sessions.ts';
import { type FetchOut, type SignOn, createSignOn } from './sign-on.ts';

export interface PeopleParts {
  store: Pick<Store, 'people' | 'entities'>;
  directory: Pick<DirectoryService, 'users' | 'members'>;
  audit: () => Promise<AuditTrail>;
  snapshot: () => Pick<Snapshot, 'oidc'>;
  /** Where browsers reach us, without a trailing slash. */
  publicUrl: () => string;
  /** The way out to an issuer: its own origin by the operator's word, other addresses by its own. */
  fetchOut: (issuer: string) => FetchOut;
  ring: Pick<Keyring, 'seal' | 'open'>;
  nowMs: () => number;
  random: (size: number) => Buffer;
  newId: (prefix: string) => string;
  log: (level: 'warn' | 'info', fields: Record<string, unknown>, message: string) => void;
}

export interface PeopleDesk {
  /** Undefined: people do not sign on here. */
  signOn: () => (SignOn & { personOf: (claims: Parameters<typeof readPerson>[1]) => VouchedPerson | undefined }) | undefined;
  sessions: Sessions;
  admit: Admit;
  publicUrl: () => string;
  log: PeopleParts['log'];
}

export function createPeopleDesk(parts: PeopleParts): PeopleDesk {
  const { snapshot, publicUrl, fetchOut, ring, nowMs, log } = parts;
  let current: { wanted: string; signOn: SignOn } | undefined;
  const signOnBy = (settings: OidcSettings): SignOn => {
    const wanted = JSON.stringify([settings, publicUrl()]);
    if (current?.wanted !== wanted) {
      const signOn = createSignOn({ settings, publicUrl: publicUrl(), fetchOut: fetchOut(settings.issuer), ring, nowMs });
      current = { wanted, signOn };
    }
    return current.signOn;
  };
  return {
    signOn: () => {
      const { oidc } = snapshot();
      if (oidc === undefined) return undefined;
      return { ...signOnBy(oidc), personOf: (claims) => readPerson(oidc.issuer, claims, oidc.people) };
    },
    sessions: createSessions(parts),
    admit: createAdmit(parts),
    publicUrl,
    log,
  };
}
