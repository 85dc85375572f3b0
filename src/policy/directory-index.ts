/** The directory, indexed for the hot path: who may call, found by the digest of what he presents. */
import { type DirectoryChange, type KeyEntry, type Party, directoryNames, keyIdentity } from '../core/directory.ts';
import type { Rules } from '../core/rules.ts';
import { type RecordTable, openRecordTable } from '../lib/record-table.ts';
import { type Usable, usableKey } from './caller.ts';

export interface DirectoryIndex {
  /** Another one after every change: what was remembered before is void. */
  generation: () => number;
  /** Undefined: unknown, blocked, expired, or without a right to exist; nobody outside learns which. */
  find: (digest: string, nowMs: number) => Usable | undefined;
  /** By its id. */
  keyOf: (id: string, nowMs: number) => Usable | undefined;
  /** For a key that is kept nowhere, since somebody else vouches for it. Undefined: what stands above it gives it no right to exist. */
  vouchFor: (key: KeyEntry, nowMs: number) => Usable | undefined;
  /** The part that comes with the snapshot; takes the place of the one before. */
  useFile: (file: FilePart) => void;
  /** The store's part, whole: takes the place of all that came from the store. */
  load: (table: SharedArrayBuffer) => void;
  change: (change: DirectoryChange) => void;
}

export interface FilePart {
  keys: readonly KeyEntry[];
  /** By tag. */
  tags: Readonly<Record<string, Rules>>;
}

export function createDirectoryIndex(): DirectoryIndex {
  let generation = 0;
  let file = filePart({ keys: [], tags: {} });
  let stored = storedPart();
  const look = {
    key: (id: string) => file.byId.get(id) ?? file.unlessShadowed(stored.key(id)),
    party: (id: string) => stored.party(id),
    tagRules: (tag: string) => file.tags.get(tag),
  };
  return {
    generation: () => generation,
    find(digest, nowMs) {
      const key = file.byDigest.get(digest) ?? file.unlessShadowed(stored.byDigest(digest));
      if (key === undefined) return undefined;
      const digestUntilMs = key.digests.find((each) => each.digest === digest)?.untilMs ?? Infinity;
      const usable = nowMs < digestUntilMs ? usableKey(key, look, nowMs) : undefined;
      return usable && { ...usable, untilMs: Math.min(usable.untilMs, digestUntilMs) };
    },
    keyOf: (id, nowMs) => {
      const key = look.key(id);
      return key === undefined ? undefined : usableKey(key, look, nowMs);
    },
    vouchFor: (key, nowMs) => usableKey(key, look, nowMs),
    useFile(next) {
      generation++;
      file = filePart(next);
    },
    load(table) {
      generation++;
      stored = storedPart(openRecordTable(table));
    },
    change(change) {
      generation++;
      stored.change(change);
    },
  };
}

function filePart({ keys, tags }: FilePart) {
  const identities = new Set(keys.map(keyIdentity));
  return {
    byId: new Map(keys.map((key) => [key.id, key])),
    byDigest: new Map(keys.flatMap((key) => key.digests.map(({ digest }) => [digest, key] as const))),
    tags: new Map(Object.entries(tags)),
    /** A key of the store that has the identity of one of the file is out of force. */
    unlessShadowed: (key: KeyEntry | undefined) => (key !== undefined && identities.has(keyIdentity(key)) ? undefined : key),
  };
}

/** The table as it was made, under what has changed since; null stands for what is gone. */
function storedPart(table?: RecordTable) {
  const keys = new Map<string, KeyEntry | null>();
  const parties = new Map<string, Party | null>();
  const byDigest = new Map<string, KeyEntry>();
  const forgetDigests = (id: string): void => {
    for (const { digest } of keys.get(id)?.digests ?? []) byDigest.delete(digest);
  };
  const tableKey = (id: string): KeyEntry | undefined =>
    table?.find<KeyEntry>(directoryNames.key(id), (key) => key.digests !== undefined && key.id === id);
  const tableParty = (id: string): Party | undefined =>
    table?.find<Party>(directoryNames.party(id), (party) => party.kind !== undefined && party.id === id);
  const hasDigest = (digest: string) => (key: KeyEntry) => key.digests?.some((each) => each.digest === digest) ?? false;
  return {
    byDigest(digest: string): KeyEntry | undefined {
      const changed = byDigest.get(digest);
      if (changed !== undefined) return changed;
      const key = table?.find<KeyEntry>(directoryNames.digest(digest), hasDigest(digest));
      return key === undefined || keys.has(key.id) ? undefined : key;
    },
    key: (id: string): KeyEntry | undefined => (keys.has(id) ? (keys.get(id) ?? undefined) : tableKey(id)),
    party: (id: string): Party | undefined => (parties.has(id) ? (parties.get(id) ?? undefined) : tableParty(id)),
    change(change: DirectoryChange): void {
      for (const id of change.removedKeys) {
        forgetDigests(id);
        // What the table never had needs no mark that it is gone.
        if (tableKey(id) === undefined) keys.delete(id);
        else keys.set(id, null);
      }
      for (const key of change.keys) {
        forgetDigests(key.id);
        keys.set(key.id, key);
        for (const { digest } of key.digests) byDigest.set(digest, key);
      }
      for (const id of change.removedParties) {
        if (tableParty(id) === undefined) parties.delete(id);
        else parties.set(id, null);
      }
      for (const party of change.parties) parties.set(party.id, party);
    },
  };
}
