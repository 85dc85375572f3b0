/** The whole directory of the store, as one table in shared memory. */
import { directoryNames } from '../../core/directory.ts';
import type { SlotOf } from '../../core/rules.ts';
import { recordTableBuilder } from '../../lib/record-table.ts';
import type { EntitiesPort, Entities, EntityKind, Key } from '../../store/ports/entities.ts';
import { type Ruled, entryOf, isLive, partyOf } from './entries.ts';

export interface LoadParts {
  entities: EntitiesPort;
  slotOf: SlotOf;
  nowMs: () => number;
  onKey: (key: Key) => void;
  /** Somebody is left out, and thereby denied, because his rules cannot be enforced. */
  onLeftOut: (id: string, error: unknown) => void;
}

/** Few enough that main stays responsive between two pages. */
const PAGE = 500;
const PARTIES = ['org', 'team', 'user', 'service'] as const satisfies EntityKind[];

export async function loadDirectory(parts: LoadParts): Promise<SharedArrayBuffer> {
  const builder = recordTableBuilder();
  for (const kind of PARTIES) {
    for await (const page of pagesOf(parts.entities, kind)) await addParties(parts, page, builder.add);
  }
  for await (const page of pagesOf(parts.entities, 'key')) {
    for (const key of page) {
      if (!isLive(key, parts.nowMs())) continue;
      parts.onKey(key);
      const names = [directoryNames.key(key.id), ...key.digests.map(({ digest }) => directoryNames.digest(digest))];
      unlessLeftOut(parts, key.id, () => builder.add(names, entryOf(key, parts.slotOf)));
    }
  }
  return builder.build();
}

/** The next page is on its way while one is worked on. */
async function* pagesOf<Kind extends EntityKind>(entities: EntitiesPort, kind: Kind): AsyncGenerator<Entities[Kind][]> {
  let coming = entities.pageOf(kind, { limit: PAGE });
  for (;;) {
    const page = (await coming).map((json) => JSON.parse(json) as Entities[Kind]);
    const isLast = page.length < PAGE;
    if (!isLast) coming = entities.pageOf(kind, { limit: PAGE, afterId: page.at(-1)!.id });
    // It may fail while nobody waits for it yet.
    coming.catch(() => undefined);
    yield page;
    if (isLast) return;
  }
}

type Add = ReturnType<typeof recordTableBuilder>['add'];

async function addParties(parts: LoadParts, page: readonly Ruled[], add: Add): Promise<void> {
  const users = page.filter(({ kind }) => kind === 'user').map(({ id }) => id);
  const memberships = users.length === 0 ? [] : await parts.entities.membershipsOf(users);
  const byUser = Map.groupBy(memberships, ({ user }) => user);
  for (const party of page) {
    unlessLeftOut(parts, party.id, () =>
      add([directoryNames.party(party.id)], partyOf(party, byUser.get(party.id) ?? [], parts.slotOf)),
    );
  }
}

/** Nobody goes unlimited because there was no room to count him. */
function unlessLeftOut({ onLeftOut }: LoadParts, id: string, add: () => void): void {
  try {
    add();
  } catch (error) {
    onLeftOut(id, error);
  }
}
