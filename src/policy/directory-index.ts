/** The directory, indexed for the hot path: who may call, found by the digest of what he presents. */
import type { Directory, KeyEntry, Party } from '../core/directory.ts';
import { type Usable, usableKey } from './caller.ts';

export interface DirectoryIndex {
  /** Another one after every change: what was remembered before is void. */
  generation: () => number;
  /** Undefined: unknown, blocked, expired, or without a right to exist; nobody outside learns which. */
  find: (digest: string, nowMs: number) => Usable | undefined;
  /** Takes the place of all that was known. */
  load: (directory: Directory) => void;
}

export function createDirectoryIndex(): DirectoryIndex {
  let generation = 0;
  let byDigest = new Map<string, KeyEntry>();
  let keys = new Map<string, KeyEntry>();
  let parties = new Map<string, Party>();
  let tags: Directory['tags'] = {};
  const look = {
    key: (id: string) => keys.get(id),
    party: (id: string) => parties.get(id),
    tagRules: (tag: string) => (Object.hasOwn(tags, tag) ? tags[tag] : undefined),
  };
  return {
    generation: () => generation,
    find(digest, nowMs) {
      const key = byDigest.get(digest);
      if (key === undefined) return undefined;
      const digestUntilMs = key.digests.find((each) => each.digest === digest)?.untilMs ?? Infinity;
      const usable = nowMs < digestUntilMs ? usableKey(key, look, nowMs) : undefined;
      return usable && { ...usable, untilMs: Math.min(usable.untilMs, digestUntilMs) };
    },
    load(directory) {
      generation++;
      keys = new Map(directory.keys.map((key) => [key.id, key]));
      byDigest = new Map(directory.keys.flatMap((key) => key.digests.map(({ digest }) => [digest, key] as const)));
      parties = new Map(directory.parties.map((party) => [party.id, party]));
      tags = directory.tags;
    },
  };
}
