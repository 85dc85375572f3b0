/** The one way of every change: store first, then the workers. */
import type { Party } from '../../core/directory.ts';
import { GatewayError } from '../../core/errors.ts';
import type { AnyEntity, EntityChanges, EntityKind } from '../../store/ports/entities.ts';
import { StoreError } from '../../store/store.ts';
import { conflict } from './change.ts';
import { type Ruled, entryOf, isLive, partyOf } from './entries.ts';
import type { DirectoryParts, Unnumbered } from './parts.ts';

export interface Writer {
  /** One after the other. */
  exclusive: <Result>(work: () => Promise<Result>) => Promise<Result>;
  /** Within `exclusive`. True: in force everywhere. */
  commit: (changes: EntityChanges) => Promise<boolean>;
  /** As `commit`, of what was not there before: where it is refused, it keeps no places either. */
  make: (entity: AnyEntity) => Promise<boolean>;
}

export function createWriter(parts: DirectoryParts): Writer {
  let tail: Promise<unknown> = Promise.resolve();
  const commit = async (changes: EntityChanges): Promise<boolean> => {
    const put = changes.put ?? [];
    const live = put.filter((each) => each.kind === 'key').filter((key) => isLive(key, parts.nowMs()));
    const parties = put.filter(isParty);
    // Before anything is written: what cannot be counted must not be promised.
    const keys = placed(() => live.map((key) => entryOf(key, parts.slots.slotOf)));
    const wanted = placed(() => parties.map((party) => partyOf(party, [], parts.slots.slotOf)));
    await parts.fill();
    await writeOrConflict(parts, changes);
    const inForce = await parts.publish({
      keys,
      parties: await changedParties(parts, parties, changes),
      ...removals(changes, parts.nowMs()),
    });
    for (const { id, rules } of keys) parts.slots.keep(`key:${id}`, rules);
    for (const { kind, id, rules } of wanted) parts.slots.keep(`${kind}:${id}`, rules);
    for (const { kind, id } of changes.remove ?? []) if (kind !== 'token') parts.slots.forget(`${kind}:${id}`);
    return inForce;
  };
  return {
    exclusive: (work) => {
      const result = tail.then(work);
      tail = result.catch(() => undefined);
      return result;
    },
    commit,
    make: async (entity) => {
      try {
        return await commit({ put: [entity] });
      } catch (error) {
        // Whoever asks again has another id: what these places are given to would never come back.
        if (error instanceof GatewayError && entity.kind !== 'token') parts.slots.forget(`${entity.kind}:${entity.id}`, 'unused');
        throw error;
      }
    },
  };
}

/** What `place` makes; throws conflict where shared memory is full. */
function placed<Result>(place: () => Result): Result {
  try {
    return place();
  } catch (error) {
    throw conflict('There are too many limits and budgets to count more of them', error);
  }
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

function isParty(entity: AnyEntity): entity is Ruled {
  return entity.kind !== 'key' && entity.kind !== 'token';
}

/** Those that were written, and the users whose memberships were. */
async function changedParties(parts: DirectoryParts, written: readonly Ruled[], changes: EntityChanges): Promise<Party[]> {
  const { entities } = parts.store;
  const parties = new Map(written.map((party) => [party.id, party]));
  for (const { user } of [...(changes.members ?? []), ...(changes.leavers ?? [])]) {
    const member = parties.get(user) ?? (await entities.get('user', user));
    if (member !== undefined) parties.set(user, member);
  }
  const users = [...parties.values()].filter(({ kind }) => kind === 'user').map(({ id }) => id);
  const memberships = users.length === 0 ? [] : await entities.membershipsOf(users);
  const byUser = Map.groupBy(memberships, ({ user }) => user);
  return [...parties.values()].map((party) => partyOf(party, byUser.get(party.id) ?? [], parts.slots.slotOf));
}

async function writeOrConflict({ store }: DirectoryParts, changes: EntityChanges): Promise<void> {
  try {
    await store.entities.write(changes);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'conflict') throw error;
    throw conflict('There is one of this name, e-mail address or secret already', error);
  }
}
