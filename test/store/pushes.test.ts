import { expect, test } from 'vitest';

import type { StoredDelivery, StoredPush } from '../../src/store/ports/pushes.ts';
import { openStore } from '../../src/store/sql/open.ts';
import type { Store } from '../../src/store/store.ts';
import { NOON_MS } from '../support/facts.ts';
import { forEachStore } from '../support/stores.ts';

const DAY_MS = 86_400_000;
const RETENTION = { requestsDays: 30, bodiesDays: 7, hoursDays: 20, daysDays: 50, ledgerDays: 62 };

forEachStore((_kind, open) => {
  test('pushes are kept whole, one of each name per task, within a most', async () => {
    const { pushes } = (await open()).store;
    const whole = push('p1', { replica: 'r1', team: 'team_a', endUser: 'alice' });
    expect(await pushes.put(whole, 2)).toBe('p1');
    expect(await pushes.get('p1')).toEqual(whole);
    expect(await pushes.get('nowhere')).toBeUndefined();
    // Under the same name: it keeps its own id and its age, the rest is the later one's.
    const later = push('p2', { sealed: 'other', version: '0.3', createdAtMs: NOON_MS + 1 });
    expect(await pushes.put(later, 2)).toBe('p1');
    expect(await pushes.get('p1')).toEqual({ ...later, push: 'p1', createdAtMs: NOON_MS });
    expect(await pushes.put(push('p3', { configId: 'second', createdAtMs: NOON_MS + 2 }), 2)).toBe('p3');
    expect(await pushes.put(push('p4', { configId: 'third' }), 2)).toBeUndefined();
    expect(await pushes.put(push('p5', { agent: 'b' }), 2)).toBe('p5');
    expect((await pushes.ofTask('a', 't')).map((each) => each.push)).toEqual(['p1', 'p3']);
    await pushes.remove('p1');
    expect((await pushes.ofTask('a', 't')).map((each) => each.push)).toEqual(['p3']);
  });

  test('one that came along with a message gets its replica and its task later, the first task for good', async () => {
    const { pushes } = (await open()).store;
    const { task: _, ...open1 } = push('p1');
    const { task: __, ...open2 } = push('p2');
    for (const each of [open1, open2]) await pushes.put(each, 1);
    await pushes.bind('p1', { replica: 'r1' });
    await pushes.bind('p1', { replica: 'r2' });
    expect(await pushes.get('p1')).toEqual({ ...open1, replica: 'r2' });
    await pushes.bind('p1', { task: 't' });
    await pushes.bind('p1', { task: 'u', replica: 'r3' });
    expect(await pushes.get('p1')).toEqual({ ...open1, replica: 'r2', task: 't' });
    // Of the same name for the same task: the later takes its place.
    await pushes.deliver(delivery('p1', 1), 9);
    await pushes.bind('p2', { task: 't' });
    expect((await pushes.ofTask('a', 't')).map((each) => each.push)).toEqual(['p2']);
    expect(await pushes.waiting()).toEqual([]);
    await pushes.bind('nowhere', { task: 't' });
  });

  test('deliveries wait in order, are known again, and are no more than there may be', async () => {
    const { store, url } = await open();
    const { pushes } = store;
    await pushes.put(push('p1'), 9);
    expect(await pushes.deliver(delivery('nowhere', 1), 2)).toBe('gone');
    expect(await pushes.deliver(delivery('p1', 2), 2)).toBe('taken');
    expect(await pushes.deliver(delivery('p1', 1), 2)).toBe('taken');
    expect(await pushes.deliver({ ...delivery('p1', 1), seq: 9 }, 2)).toBe('known');
    expect(await pushes.deliver(delivery('p1', 3), 2)).toBe('full');
    const first = { ...delivery('p1', 1), tries: 0, dueAtMs: 0 };
    expect(await pushes.next('p1')).toEqual(first);
    // Of two that begin the same try, one does.
    const other = await openStore(url);
    const claims = await Promise.all([store, other].map((each) => each.pushes.claim(first, NOON_MS)));
    expect(claims.filter(Boolean)).toEqual([true]);
    await other.close();
    expect(await pushes.next('p1')).toEqual({ ...first, tries: 1, dueAtMs: NOON_MS });
    await pushes.settle(first);
    expect(await pushes.deliver(delivery('p1', 1), 2)).toBe('known');
    expect(await pushes.next('p1')).toMatchObject({ seq: 2 });
    expect(await pushes.waiting()).toEqual([{ push: 'p1', owner: 'key:ci' }]);
    await pushes.settle(delivery('p1', 2), 'tries');
    expect(await pushes.next('p1')).toBeUndefined();
    expect(await pushes.waiting()).toEqual([]);
  });

  test('dead letters are listed by agent, the latest first, without what they said', async () => {
    const { store, query } = await open();
    const { pushes } = store;
    await pushes.put(push('p1', { owner: 'key:one' }), 9);
    await pushes.put(push('p2', { agent: 'b' }), 9);
    for (const each of [delivery('p1', 1), delivery('p1', 2), delivery('p2', 3)]) {
      await pushes.deliver(each, 9);
      await pushes.claim({ ...each, tries: 0 }, NOON_MS);
      await pushes.settle(each, 'status 410');
    }
    await pushes.deliver(delivery('p1', 4), 9);
    const letter = { agent: 'a', push: 'p1', task: 't', owner: 'key:one', tries: 1, reason: 'status 410' };
    expect(await pushes.dead({ agent: 'a', limit: 9 })).toEqual([
      { ...letter, seq: 2 },
      { ...letter, seq: 1 },
    ]);
    expect(await pushes.dead({ agent: 'a', before: 2, limit: 9 })).toEqual([{ ...letter, seq: 1 }]);
    expect(await query('select sealed from agent_push_deliveries where sealed is not null')).toHaveLength(1);
  });

  test('they go with their task, and where no task came of it', async () => {
    const { store, query } = await open();
    const { pushes, usage } = store;
    await known(store, { running: NOON_MS - 2 * DAY_MS, over: NOON_MS - 2 * DAY_MS });
    const old = { createdAtMs: NOON_MS - 2 * DAY_MS };
    const { task: _, ...nobodys } = push('unbound', old);
    const kept = [push('of-running', { ...old, task: 'running' }), push('young', { task: 'on its way' })];
    for (const each of [...kept, push('of-over', { ...old, task: 'over' }), nobodys]) {
      await pushes.put(each, 9);
      await pushes.deliver(delivery(each.push, 1), 9);
    }
    // What arrived is known for a day, so that it is not told twice.
    await pushes.deliver({ ...delivery('of-running', 2), seq: (NOON_MS - 2 * DAY_MS) * 1_000 }, 9);
    await pushes.deliver({ ...delivery('of-running', 3), seq: (NOON_MS - 1) * 1_000 }, 9);
    for (const seq of [2, 3]) await pushes.settle(delivery('of-running', seq));
    await usage.retain(RETENTION, NOON_MS);
    const arrived = await query("select digest from agent_push_deliveries where state = 'done'");
    expect(arrived.map((row) => row.digest)).toEqual(['digest-3']);
    const left = await query('select push from agent_pushes order by push');
    expect(left.map((row) => row.push)).toEqual(['of-running', 'young']);
    expect((await pushes.waiting()).map((each) => each.push).toSorted()).toEqual(['of-running', 'young']);
  });
});

function push(id: string, change: Partial<StoredPush> = {}): StoredPush {
  const whose = { agent: 'a', task: 't', configId: '', owner: 'key:ci' };
  return { push: id, ...whose, version: '1.0', sealed: 'c2VhbGVk', createdAtMs: NOON_MS, ...change };
}

function delivery(id: string, seq: number): Omit<StoredDelivery, 'tries' | 'dueAtMs'> {
  return { push: id, digest: `digest-${seq}`, seq, sealed: `said-${seq}` };
}

/** Tasks of these names, last heard of then; `over` has ended. */
async function known({ facts }: Store, tasks: Record<string, number>): Promise<void> {
  const told = Object.entries(tasks).map(([task, atMs]) => {
    const state = task === 'over' ? 'completed' : 'working';
    const record = { agent: 'a', task, replica: 'r', owner: 'key:ci', state, createdAtMs: atMs, updatedAtMs: atMs };
    return { kind: 'agent_task' as const, id: 'ex_1', atMs, record };
  });
  await facts.import({ node: 'n1', file: 'w0-b1-000000.jnl', thread: 'w0-b1', fromByte: 0, toByte: 100, facts: told });
}
