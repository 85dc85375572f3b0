/** Virtual keys of the store: minted, imported by their hash, changed, rotated, removed. */
import type { Snapshot } from '../../config/snapshot.ts';
import { keyIdentity } from '../../core/directory.ts';
import { digestOfHash, keyDigest } from '../../core/key-digest.ts';
import { mintKey } from '../../core/key-format.ts';
import type { Budget, Limits } from '../../core/rules.ts';
import type { EntityQuery, Key } from '../../store/ports/entities.ts';
import { type Patch, conflict, invalid, patched, require } from './change.ts';
import { type Bounds, requireWithin } from './child.ts';
import { given, isLive } from './entries.ts';
import { withDescendants } from './family.ts';
import { type Owners, ownersOf, parentOf } from './owners.ts';
import { shownPart } from './secret.ts';
import type { DirectoryParts, Written } from './parts.ts';
import type { Writer } from './writer.ts';

/** What may be changed later. */
export interface KeyFields {
  name: string;
  models?: readonly string[];
  agents?: readonly string[];
  blocked?: boolean;
  expiresAtMs?: number;
  ips?: readonly string[];
  tags?: readonly string[];
  priority?: Key['priority'];
  recordBodies?: boolean;
  limits?: Limits;
  budgets?: readonly Budget[];
  metadata?: Readonly<Record<string, string>>;
}

/** Whom it belongs to is chosen once. A child belongs to whom its parent belongs to, and names none of them. */
export interface KeyInput extends KeyFields, Owners {
  /** What a child is for. */
  task?: string;
}

export interface Minted extends Written<Key> {
  after: Key;
  /** Shown once and kept nowhere. */
  secret: string;
}

export interface Keys {
  create: (input: KeyInput, by: string) => Promise<Minted>;
  /** A key that exists elsewhere, by the hex SHA-256 of its secret. */
  import: (input: KeyInput & { sha256: string }, by: string) => Promise<Written<Key> & { after: Key }>;
  get: (id: string) => Promise<Key | undefined>;
  list: (query: EntityQuery) => Promise<Key[]>;
  update: (id: string, patch: Patch<KeyFields>) => Promise<Written<Key> & { before: Key; after: Key }>;
  /** A new secret; the old one holds for that many seconds more. */
  rotate: (id: string, graceS: number) => Promise<Minted & { before: Key }>;
  /** Gives back what keys took that have ended meanwhile; they stay in the store. */
  retire: (ids: readonly string[]) => Promise<void>;
  /** With all keys that descend from it. */
  remove: (id: string) => Promise<Written<Key> & { before: Key }>;
}

/** Secrets that a key has at once: the present one and those whose grace is not over. */
const MAX_SECRETS = 5;

export function createKeys(parts: DirectoryParts, writer: Writer): Keys {
  const { entities } = parts.store;
  const make = (input: KeyInput, by: string, secret: Pick<Key, 'digests' | 'shown'>) =>
    writer.exclusive(async () => {
      const after = { ...(await newKey(parts, input, by)), ...secret };
      await requireAllowed(parts, after);
      const inForce = await writer.make(after);
      parts.raise('key.created', `key:${after.id}`, { name: after.name, by });
      return { after, inForce };
    });
  return {
    create: async (input, by) => {
      const secret = mintKey('key', parts.random);
      const digests = [{ digest: keyDigest(parts.pepper, secret) }];
      return { ...(await make(input, by, { digests, shown: shownPart(secret) })), secret };
    },
    import: ({ sha256, ...input }, by) => make(input, by, { digests: [{ digest: digestOfHash(parts.pepper, sha256) }] }),
    get: (id) => entities.get('key', id),
    list: (query) => entities.list('key', query),
    update: (id, patch) =>
      writer.exclusive(async () => {
        const before = await require(entities, 'key', id);
        const after = patched(before, patch, parts.nowMs());
        await requireAllowed(parts, after);
        const inForce = await writer.commit({ put: [after] });
        if (after.blocked && !before.blocked) parts.raise('key.blocked', `key:${id}`, { name: after.name });
        return { before, after, inForce };
      }),
    rotate: (id, graceS) =>
      writer.exclusive(async () => {
        const before = await require(entities, 'key', id);
        const secret = mintKey('key', parts.random);
        const after = rotated(parts, before, secret, graceS);
        const inForce = await writer.commit({ put: [after] });
        parts.raise('key.rotated', `key:${id}`, { name: after.name, grace_s: graceS });
        return { before, after, secret, inForce };
      }),
    retire: (ids) =>
      writer.exclusive(async () => {
        const ended: string[] = [];
        for (const id of ids) {
          const key = await entities.get('key', id);
          if (key !== undefined && !isLive(key, parts.nowMs())) ended.push(id);
        }
        await parts.publish({ keys: [], parties: [], removedKeys: ended, removedParties: [] });
        for (const id of ended) parts.slots.forget(`key:${id}`);
      }),
    remove: (id) =>
      writer.exclusive(async () => {
        const before = await require(entities, 'key', id);
        const gone = await withDescendants(entities, [before]);
        return { before, inForce: await writer.commit({ remove: gone.map((each) => ({ kind: 'key', id: each.id })) }) };
      }),
  };
}

/** Whether a key of the file stands in its place. */
export function isShadowed(key: Key, { keys }: Pick<Snapshot, 'keys'>): boolean {
  const identity = keyIdentity(key);
  return keys.some((each) => keyIdentity(each) === identity);
}

/** What a key is unless its maker says otherwise. */
const PLAIN = {
  models: ['*'],
  agents: [],
  tags: [],
  blocked: false,
  priority: 'normal',
  recordBodies: false,
  budgets: [],
  metadata: {},
} as const satisfies Partial<Key>;

async function newKey(parts: DirectoryParts, input: KeyInput, by: string): Promise<Key> {
  const nowMs = parts.nowMs();
  const { name, principal, team, org, parent, task, ...fields } = input;
  if (task !== undefined && parent === undefined) throw invalid('task', 'only a child has one: name its `parent`');
  const key: Key = {
    ...PLAIN,
    ...(parent !== undefined && inherited((await parentOf(parts, parent)).bounds)),
    ...given(fields),
    kind: 'key',
    id: parts.newId('key'),
    name,
    digests: [],
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    createdBy: by,
    ...(await ownersOf(parts, { ...given({ principal, team, org, parent }) })),
    ...given({ task }),
  };
  if (!isLive({ ...key, blocked: false }, nowMs)) throw invalid('expires_at', 'is past already');
  return key;
}

/** What a child has of its parent where nobody says otherwise: grants and end; limits and budgets hold for it anyway. */
function inherited({ models, expiresAtMs, priority }: Bounds): Partial<Key> {
  return { models, priority, ...given({ expiresAtMs }) };
}

/** What holds for new and changed keys alike. */
async function requireAllowed(parts: DirectoryParts, key: Key): Promise<void> {
  if (parts.snapshot().keys.some(({ id }) => id === key.id)) throw conflict('A key of the file has that id for a name');
  if (key.parent !== undefined) requireWithin(key, (await parentOf(parts, key.parent)).bounds);
}

function rotated({ pepper, nowMs }: DirectoryParts, key: Key, secret: string, graceS: number): Key {
  const atMs = nowMs();
  const graceUntilMs = atMs + graceS * 1000;
  const old = key.digests.map(({ digest, untilMs = graceUntilMs }) => ({ digest, untilMs: Math.min(untilMs, graceUntilMs) }));
  const holding = old.filter(({ untilMs }) => untilMs > atMs).slice(0, MAX_SECRETS - 1);
  const digests = [{ digest: keyDigest(pepper, secret) }, ...holding];
  return { ...key, digests, shown: shownPart(secret), rotatedAtMs: atMs, updatedAtMs: atMs };
}
