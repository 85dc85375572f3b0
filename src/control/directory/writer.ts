/** The one way of every change: store first, then the workers. */
import type { KeyEntry, Party } from '../../core/directory.ts';
import { GatewayError } from '../../core/errors.ts';
import type { AnyEntity, EntityChanges, EntityKind, Membership } from '../../store/ports/entities.ts';
import { StoreError } from '../../store/store.ts';
import { type Ruled, entryOf, isLive, partyOf } from './entries.ts';
import type { DirectoryParts, Unnumbered } from './service.ts';

export interface Writer {
  /** One after the other. */
  exclusive: <Result>(work: () => Promise<Result>) => Promise<Result>;
  /** Within `exclusive`. True: in force everywhere. */
  commit: (changes: EntityChanges) => Promise<boolean>;
}

export function createWriter(parts: DirectoryParts): Writer {
  let tail: Promise<unknown> = Promise.resolve();
  return {
    exclusive: (work) => {
      const result = tail.then(work);
      tail = result.catch(() => undefined);
      return result;
    },
    commit: async (changes) => {
      // Placed before it is written: what cannot be counted must not be promised.
      const placed = placer(parts);
      const keys = (changes.put ?? []).filter((each) => each.kind === 'key' && isLive(each, parts.nowMs())).map(placed.key);
      const parties = new Map((changes.put ?? []).filter(isRuled).map((each) => [each.id, each]));
      await writeOrConflict(parts, changes);
      for (const { user } of [...(changes.members ?? []), ...(changes.leavers ?? [])]) {
        const member = parties.get(user) ?? (await parts.store.entities.get('user', user));
        if (member !== undefined) parties.set(user, member);
      }
      const change = {
        keys,
        parties: await withMemberships(parts, [...parties.values()]),
        ...removals(changes, parts.nowMs()),
      };
      const inForce = await parts.publish(change);
      for (const { kind, id } of changes.remove ?? []) if (kind !== 'token') parts.slots.forget(`${kind}:${id}`);
      return inForce;
    },
  };
}

/** Blocked and expired keys are taken out of force like those that are removed: nobody outside can tell them apart. */
function removals(changes: EntityChanges, nowMs: number): Pick<Unnumbered, 'removedKeys' | 'removedParties'> {
  const dead = (changes.put ?? []).filter((each) => each.kind === 'key' && !isLive(each, nowMs));
  const removed = (of: (kind: EntityKind) => boolean) =>
    (changes.remove ?? []).filter(({ kind }) => of(kind)).map(({ id }) => id);
  return {
    removedKeys: [...removed((kind) => kind === 'key'), ...dead.map(({ id }) => id)],
    removedParties: removed((kind) => kind !== 'key' && kind !== 'token'),
  };
}

function placer({ slots }: DirectoryParts): { key: (key: AnyEntity) => KeyEntry } {
  return { key: (key) => entryOf(key as Extract<AnyEntity, { kind: 'key' }>, slots.slotOf) };
}

function isRuled(entity: AnyEntity): entity is Ruled {
  return entity.kind !== 'key' && entity.kind !== 'token';
}

async function withMemberships({ store, slots }: DirectoryParts, parties: readonly Ruled[]): Promise<Party[]> {
  const users = parties.filter(({ kind }) => kind === 'user').map(({ id }) => id);
  const memberships = users.length === 0 ? [] : await store.entities.membershipsOf(users);
  const byUser = Map.groupBy(memberships, ({ user }: Membership) => user);
  return parties.map((party) => partyOf(party, byUser.get(party.id) ?? [], slots.slotOf));
}

async function writeOrConflict({ store }: DirectoryParts, changes: EntityChanges): Promise<void> {
  try {
    await store.entities.write(changes);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'conflict') throw error;
    throw new GatewayError('conflict', { cause: error, details: { message: TAKEN } });
  }
}

const TAKEN = 'There is one of this name, e-mail address or secret already';
