/**
 * Credentials that were set over the API: sealed in the store, opened only to be sent. Each is bound to the provider's type and base URLs: one that was written
 * for another address does not open, whoever moved it there.
 */
import { type Keyring, sealedBy } from '../lib/seal.ts';
import type { ApiCredential } from '../config/layers.ts';
import type { DocumentsPort, SealedCredential } from '../store/ports/documents.ts';

export interface Vault {
  /** By provider's name. Throws VaultLocked; what was tampered with is left out and told of. */
  open(): Promise<Map<string, ApiCredential>>;
  set(credential: { provider: string; boundTo: string; apiKey: string; by: string }): Promise<void>;
  /** False: there was none. */
  remove(provider: string): Promise<boolean>;
  /** Seals all of them with the keyring's present key; answers how many were not yet. */
  reseal(): Promise<number>;
  /** Removes those that no key opens; answers of which providers. */
  forgetLost(): Promise<string[]>;
}

export interface VaultParts {
  store: Pick<DocumentsPort, 'credentials' | 'putCredential' | 'removeCredential' | 'reseal'>;
  keyring: Keyring;
  /** Where the key comes from, for messages. */
  source: string;
  nowMs: () => number;
  onDamaged: (provider: string) => void;
}

/** The store holds what another key sealed. One line for the operator. */
export class VaultLocked extends Error {
  constructor(ids: readonly string[], source: string) {
    const keys = ids.length === 1 ? `the key ${ids[0]}` : `the keys ${ids.join(', ')}`;
    super(`credentials in the store are sealed with ${keys}, which ${source} does not hold; see \`signalbox vault --help\``);
    this.name = 'VaultLocked';
  }
}

export function createVault({ store, keyring, source, nowMs, onDamaged }: VaultParts): Vault {
  const opened = ({ provider, boundTo, sealed }: SealedCredential): string | undefined =>
    keyring.open('cred/v1', place(provider, boundTo), sealed);
  const seal = (provider: string, boundTo: string, apiKey: string): string =>
    keyring.seal('cred/v1', place(provider, boundTo), apiKey);
  return {
    async open() {
      const rows = await store.credentials();
      const strangers = new Set(rows.map(({ sealed }) => sealedBy(sealed)).filter((id) => !keyring.ids.includes(id)));
      if (strangers.size > 0) throw new VaultLocked([...strangers], source);
      const credentials = new Map<string, ApiCredential>();
      for (const row of rows) {
        const apiKey = opened(row);
        if (apiKey === undefined) onDamaged(row.provider);
        else credentials.set(row.provider, { boundTo: row.boundTo, apiKey });
      }
      return credentials;
    },
    set: ({ provider, boundTo, apiKey, by }) =>
      store.putCredential({ provider, boundTo, sealed: seal(provider, boundTo, apiKey), atMs: nowMs(), by }),
    remove: (provider) => store.removeCredential(provider),
    async reseal() {
      const stale = (await store.credentials()).filter(({ sealed }) => sealedBy(sealed) !== keyring.currentId);
      const changes = stale.flatMap((row) => {
        const apiKey = opened(row);
        if (apiKey === undefined) return [];
        return [{ provider: row.provider, before: row.sealed, sealed: seal(row.provider, row.boundTo, apiKey) }];
      });
      if (changes.length < stale.length) {
        const lost = stale.filter((row) => opened(row) === undefined).map(({ sealed }) => sealedBy(sealed));
        throw new VaultLocked([...new Set(lost)], source);
      }
      await store.reseal(changes);
      return changes.length;
    },
    async forgetLost() {
      const lost = (await store.credentials()).filter((row) => opened(row) === undefined).map(({ provider }) => provider);
      for (const provider of lost) await store.removeCredential(provider);
      return lost;
    },
  };
}

function place(provider: string, boundTo: string): string[] {
  return ['credentials', provider, 'sealed', boundTo];
}
