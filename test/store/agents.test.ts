import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { AgentCallFact, TaskRecord } from '../../src/core/agent.ts';
import type { ExchangeFact } from '../../src/core/exchange.ts';
import type { AgentTaskFact, Fact } from '../../src/core/fact.ts';
import type { AgentTotals, StoredAgent } from '../../src/store/ports/agents.ts';
import { openStore } from '../../src/store/sql/open.ts';
import type { Store } from '../../src/store/store.ts';
import { NOON_MS, attemptFact, exchangeFact } from '../support/facts.ts';
import { forEachStore } from '../support/stores.ts';

const DAY_MS = 86_400_000;
const RETENTION = { requestsDays: 30, bodiesDays: 7, hoursDays: 20, daysDays: 50, ledgerDays: 62 };

forEachStore((kind, open) => {
  test('agents are kept by name, each version after the one before, and whoever comes second is told', async () => {
    const { agents } = (await open()).store;
    expect(await agents.list()).toEqual([]);
    await agents.put(agent('b'));
    await agents.put(agent('a', { content: '{"enabled":false}' }));
    await expect(agents.put(agent('b', { by: 'usr_2' }))).rejects.toMatchObject({ code: 'conflict' });
    await expect(agents.put(agent('b', { version: 3 }))).rejects.toMatchObject({ code: 'conflict' });
    await expect(agents.put(agent('unknown', { version: 2 }))).rejects.toMatchObject({ code: 'conflict' });
    expect(await agents.list()).toEqual([agent('a', { content: '{"enabled":false}' }), agent('b')]);
    await agents.put(agent('b', { version: 2, sealed: 'c2VhbGVk' }));
    // What is not said any more is not there any more.
    await agents.put(agent('b', { version: 3, atMs: 7, by: 'usr_2' }));
    await expect(agents.put(agent('b', { version: 3 }))).rejects.toMatchObject({ code: 'conflict' });
    expect((await agents.list())[1]).toEqual(agent('b', { version: 3, atMs: 7, by: 'usr_2' }));
    expect(await agents.remove('b')).toBe(true);
    expect(await agents.remove('b')).toBe(false);
    await agents.put(agent('b'));
    expect((await agents.list()).map(({ name }) => name)).toEqual(['a', 'b']);
  });

  test('switches of agents of the file are kept beside agents of the same names', async () => {
    const { agents } = (await open()).store;
    expect(await agents.switches()).toEqual([]);
    await agents.put(agent('a'));
    await agents.switch({ agent: 'a', enabled: false, fileSays: true, atMs: 5, by: 'root' });
    await agents.switch({ agent: 'b', enabled: false, fileSays: true, atMs: 6, by: 'root' });
    await agents.switch({ agent: 'b', enabled: true, fileSays: false, atMs: 7, by: 'usr_2' });
    const switches = await agents.switches();
    expect(switches.toSorted((one, other) => (one.agent < other.agent ? -1 : 1))).toEqual([
      { agent: 'a', enabled: false, fileSays: true, atMs: 5, by: 'root' },
      { agent: 'b', enabled: true, fileSays: false, atMs: 7, by: 'usr_2' },
    ]);
    expect(await agents.remove('a')).toBe(true);
    expect(await agents.switches()).toHaveLength(2);
    await agents.forgetSwitch('b');
    expect((await agents.switches()).map((each) => each.agent)).toEqual(['a']);
  });

  test('of several that change an agent at once, one does', async () => {
    const { store, url } = await open();
    const other = await openStore(url);
    for (const version of [1, 2, 3]) {
      const writers = [store, other, store, other].map(({ agents }, index) =>
        agents.put(agent('a', { version, by: `usr_${index}` })).then(
          () => 'done',
          (error: unknown) => (error as { code: string }).code,
        ),
      );
      expect((await Promise.all(writers)).toSorted()).toEqual(['conflict', 'conflict', 'conflict', 'done']);
    }
    await other.close();
  });

  test('sends that were answered count once per exchange, with what they cost, however often they are imported', async () => {
    const { store, url } = await open();
    const facts = [
      call('ex_1', 'a', { costNanoUsd: 300 }),
      call('ex_2', 'a', { costNanoUsd: 40 }),
      call('ex_3', 'b', {}),
      // Nobody answered; and one that is no call to an agent.
      call('ex_4', 'b', { costNanoUsd: 9 }, false),
      exchangeFact('ex_5'),
    ];
    await take(store, facts);
    await take(store, facts.toReversed(), 'w1-b1-000000.jnl');
    await take(store, [call('ex_6', 'a', { attempts: [attemptFact()] }), call('ex_6', 'a', { costNanoUsd: 1 })]);
    const expected = [
      { agent: 'a', invocations: 3, nanoUsd: 1_340 },
      { agent: 'b', invocations: 1, nanoUsd: 0 },
    ];
    expect(await totals(store)).toEqual(expected);
    const again = await openStore(url);
    expect(await totals(again)).toEqual(expected);
    await again.close();
  });

  test('what the chat behind an agent cost is the agent’s, without another invocation', async () => {
    const { store } = await open();
    const behind = exchangeFact('ex_2', { attempts: [attemptFact(), attemptFact()], behindAgent: 'a' });
    await take(store, [call('ex_1', 'a', { costNanoUsd: 300 }), behind, behind]);
    expect(await totals(store)).toEqual([{ agent: 'a', invocations: 1, nanoUsd: 2_300 }]);
  });

  test('totals stay when an agent goes, until they are forgotten, and do not come back by another import', async () => {
    const { store } = await open();
    await store.agents.put(agent('a'));
    await take(store, [call('ex_1', 'a', { costNanoUsd: 300 }), call('ex_2', 'b', {}), taskFact({ task: 't1' })]);
    await store.agents.remove('a');
    expect(await totals(store)).toMatchObject([{ agent: 'a' }, { agent: 'b' }]);
    expect(await store.agents.task('a', 't1')).toEqual(record({ task: 't1' }));
    await store.agents.forgetTotals('a');
    await take(store, [call('ex_1', 'a', { costNanoUsd: 300 })]);
    expect(await totals(store)).toEqual([{ agent: 'b', invocations: 1, nanoUsd: 0 }]);
    await take(store, [call('ex_3', 'a', { costNanoUsd: 5 })]);
    expect(await totals(store)).toMatchObject([{ agent: 'a', invocations: 1, nanoUsd: 5 }, { agent: 'b' }]);
  });

  test('a cost that is none stops its batch, and nothing of it is counted', async () => {
    const { store } = await open();
    for (const costNanoUsd of [-1, 0.5, Number.NaN, 2 ** 60]) {
      const batch = take(store, [call('ex_1', 'a', { costNanoUsd: 3 }), call('ex_2', 'a', { costNanoUsd })]);
      await expect(batch).rejects.toMatchObject({ code: 'failed' });
    }
    expect(await totals(store)).toEqual([]);
  });

  test('of a task the later state holds, and whose it is stays as it was first', async () => {
    const { store, query } = await open();
    const first = record({ task: 't1', team: 'team_a', endUser: 'alice', state: 'submitted' });
    await take(store, [taskFact(first)]);
    expect(await store.agents.task('a', 't1')).toEqual(first);
    const stranger = { owner: 'principal:eve', team: 'team_e', endUser: 'eve', replica: 'r9', createdAtMs: NOON_MS + 50 };
    await take(store, [taskFact({ ...first, ...stranger, state: 'working', updatedAtMs: NOON_MS + 50 })]);
    const working = { ...first, state: 'working', updatedAtMs: NOON_MS + 50 };
    expect(await store.agents.task('a', 't1')).toEqual(working);
    // Older, and the same ones once more.
    const older = taskFact({ ...first, state: 'auth-required', updatedAtMs: NOON_MS + 20 });
    await take(store, [older, taskFact(first), taskFact(working)]);
    expect(await store.agents.task('a', 't1')).toEqual(working);
    expect(await query('select task from agent_tasks')).toHaveLength(1);
  });

  test('a task is learnt though its exchange is over; another agent’s task of that name is another one', async () => {
    const { store } = await open();
    await take(store, [call('ex_1', 'a', {})]);
    await take(store, [
      taskFact({ task: 't1', owner: 'key:late' }, 'ex_1'),
      taskFact({ agent: 'b', task: 't1', owner: 'key:b' }, 'ex_1'),
    ]);
    expect(await store.agents.task('a', 't1')).toMatchObject({ owner: 'key:late' });
    expect(await store.agents.task('b', 't1')).toMatchObject({ owner: 'key:b' });
    expect(await store.agents.task('c', 't1')).toBeUndefined();
    expect(await store.agents.task('a', 't2')).toBeUndefined();
  });

  test('journals of several workers may come in any order: a stranger’s later claim does not become the first one', async () => {
    const { store } = await open();
    const claim = taskFact({ task: 't1', owner: 'key:eve', team: 'team_e', createdAtMs: NOON_MS + 9, updatedAtMs: NOON_MS + 9 });
    await take(store, [claim], 'w1-b1-000000.jnl');
    await take(store, [taskFact({ task: 't1', owner: 'key:ann', state: 'submitted' })], 'w0-b1-000000.jnl');
    const kept = record({ task: 't1', owner: 'key:ann', updatedAtMs: NOON_MS + 9 });
    expect(await store.agents.task('a', 't1')).toEqual(kept);
    await take(store, [claim, { ...claim, record: { ...claim.record, task: 't2' } }]);
    await take(store, [claim, taskFact({ task: 't2', owner: 'key:ann' })]);
    expect(await store.agents.task('a', 't1')).toEqual(kept);
    expect(await store.agents.task('a', 't2')).toMatchObject({ owner: 'key:ann' });
  });

  test('whatever the order, the cuts and the repetitions, the same is known of a task', async () => {
    const { store } = await open();
    let run = 0;
    await fc.assert(
      fc.asyncProperty(claims, async (batches) => {
        const task = `t${++run}`;
        const said = batches.flat().map((change) => record({ task, ...change }));
        for (const batch of batches)
          await take(
            store,
            batch.map((change) => taskFact({ task, ...change })),
          );
        const first = said.toSorted((a, b) => a.createdAtMs - b.createdAtMs)[0];
        const last = said.toSorted((a, b) => b.updatedAtMs - a.updatedAtMs)[0];
        const context = said.some((one) => one.context !== undefined) && { context: 'c' };
        expect(await store.agents.task('a', task)).toEqual(
          first && last && { ...first, ...context, state: last.state, updatedAtMs: last.updatedAtMs },
        );
      }),
      { numRuns: 40 },
    );
  });

  test('a context has its latest task', async () => {
    const { store } = await open();
    await take(store, [
      taskFact({ task: 'late', context: 'c', createdAtMs: NOON_MS, updatedAtMs: NOON_MS + 5 }),
      taskFact({ task: 'early', context: 'c' }),
      taskFact({ task: 'other', context: 'd', updatedAtMs: NOON_MS + 9 }),
      taskFact({ agent: 'b', task: 'foreign', context: 'c', updatedAtMs: NOON_MS + 9 }),
      taskFact({ task: 'none' }),
    ]);
    expect(await store.agents.taskOfContext('a', 'c')).toMatchObject({ task: 'late', context: 'c' });
    expect(await store.agents.taskOfContext('a', 'e')).toBeUndefined();
    // A context that is learnt later; one that is not repeated stays.
    await take(store, [taskFact({ task: 'none', context: 'e', updatedAtMs: NOON_MS + 1 })]);
    await take(store, [taskFact({ task: 'none', state: 'completed', updatedAtMs: NOON_MS + 2 })]);
    expect(await store.agents.taskOfContext('a', 'e')).toMatchObject({ task: 'none', state: 'completed' });
    await take(store, [taskFact({ task: 'early', context: 'c', updatedAtMs: NOON_MS + 6 })]);
    expect(await store.agents.taskOfContext('a', 'c')).toMatchObject({ task: 'early' });
  });

  test('tasks are listed page by page, the latest first, also where many are of one instant', async () => {
    const { store } = await open();
    const records = Array.from({ length: 23 }, (_, index) =>
      record({
        task: `t:${index}%_'`,
        owner: `key:${index % 2}`,
        state: index % 3 === 0 ? 'completed' : 'working',
        context: `c${index % 5}`,
        updatedAtMs: NOON_MS + Math.floor(index / 8),
      }),
    );
    await take(store, [...records.map((one) => taskFact(one)), taskFact({ agent: 'b', task: 'foreign' })]);
    const seen: TaskRecord[] = [];
    for (let after: string | undefined = ''; after !== undefined;) {
      const page = await store.agents.tasks({ agent: 'a', after, limit: 4 });
      expect(page.rows.length).toBe(Math.min(4, records.length - seen.length));
      seen.push(...page.rows);
      after = page.next;
    }
    const times = seen.map(({ updatedAtMs }) => updatedAtMs);
    expect(times).toEqual(times.toSorted((a, b) => b - a));
    expect(seen.toSorted(byTask)).toEqual(records.toSorted(byTask));
    const asked = { owner: 'key:0', state: 'working', context: 'c2' };
    const fitting = records.filter(
      (one) => one.owner === asked.owner && one.state === asked.state && one.context === asked.context,
    );
    const { rows, next } = await store.agents.tasks({ agent: 'a', ...asked, limit: fitting.length });
    expect(rows.toSorted(byTask)).toEqual(fitting.toSorted(byTask));
    expect(next).toBeUndefined();
    const sinceMs = times[10]!;
    const since = await store.agents.tasks({ agent: 'a', sinceMs, limit: 1_000 });
    expect(since.rows.toSorted(byTask)).toEqual(records.filter((one) => one.updatedAtMs >= sinceMs).toSorted(byTask));
    // A cursor that nobody gave out is the beginning.
    const [top] = (await store.agents.tasks({ agent: 'a', limit: 1 })).rows;
    for (const after of ['x', ':', `${'9'.repeat(40)}:t`, "1';--"]) {
      expect((await store.agents.tasks({ agent: 'a', after, limit: 1 })).rows).toEqual([top]);
    }
    expect(await store.agents.tasks({ agent: 'c', limit: 5 })).toEqual({ rows: [] });
  });

  test('ids that no database takes as they are find their task all the same', async () => {
    const { store } = await open();
    await take(store, [taskFact({ task: 'x\0\ny', context: 'c\0', endUser: '\0', owner: 'key:\ud800' })]);
    expect(await store.agents.task('a', 'x\0\ny')).toMatchObject({ state: 'working' });
    expect(await store.agents.taskOfContext('a', 'c\0')).toMatchObject({ state: 'working' });
    expect((await store.agents.tasks({ agent: 'a', context: 'c\0', limit: 1 })).rows).toHaveLength(1);
    expect((await store.agents.tasks({ agent: 'a', after: `${NOON_MS + 1}:\0`, limit: 1 })).rows).toHaveLength(1);
    expect(await store.agents.task('a', '\0')).toBeUndefined();
  });

  test('what a task costs is added up, whichever journal comes first, and forgotten with it', async () => {
    const { store, query } = await open();
    const costly = (id: string, task: string, costNanoUsd: number): ExchangeFact => {
      const fact = call(id, 'a', { costNanoUsd });
      return { ...fact, agentCall: { ...fact.agentCall!, task } };
    };
    await take(store, [costly('ex_1', 't1', 300), costly('ex_2', 't2', 7), costly('ex_3', 'free', 0)]);
    const old = { state: 'completed', updatedAtMs: NOON_MS - DAY_MS - 1 };
    await take(store, [taskFact({ task: 't1', ...old }), taskFact({ task: 't2' })], 'w1-b1-000000.jnl');
    await take(store, [costly('ex_4', 't1', 200), costly('ex_1', 't1', 300)]);
    const costs = (): Promise<ReadonlyMap<string, number>> => store.agents.taskCosts('a', ['t1', 't2', 'free', 'absent']);
    expect([...(await costs())]).toEqual([
      ['t1', 500],
      ['t2', 7],
    ]);
    expect((await store.agents.taskCosts('b', ['t1'])).size).toBe(0);
    expect((await store.agents.taskCosts('a', [])).size).toBe(0);
    await store.usage.retain(RETENTION, NOON_MS);
    expect([...(await costs())]).toEqual([['t2', 7]]);
    expect(await query('select task from agent_task_costs')).toHaveLength(1);
  });

  test('tasks are forgotten a day after their end, and abandoned ones after ten', async () => {
    const { store } = await open();
    const kept = [
      taskFact({ task: 'just-ended', state: 'completed', updatedAtMs: NOON_MS - DAY_MS }),
      taskFact({ task: 'waits', state: 'input-required', updatedAtMs: NOON_MS - 9 * DAY_MS }),
      taskFact({ task: 'long-ago', state: 'failed', createdAtMs: NOON_MS - 90 * DAY_MS, updatedAtMs: NOON_MS - 5 }),
    ];
    const ended = ['completed', 'failed', 'canceled', 'rejected', 'message'].flatMap((state) =>
      Array.from({ length: 200 }, (_, index) =>
        taskFact({ task: `${state}-${index}`, state, updatedAtMs: NOON_MS - DAY_MS - 1 - index }),
      ),
    );
    const abandoned = taskFact({ task: 'abandoned', state: 'working', updatedAtMs: NOON_MS - 10 * DAY_MS - 1 });
    await take(store, [call('ex_1', 'a', {}), ...kept, ...ended, abandoned]);
    expect(await store.usage.retain(RETENTION, NOON_MS)).toBe(1_001);
    const { rows } = await store.agents.tasks({ agent: 'a', limit: 10 });
    expect(rows.map(({ task }) => task)).toEqual(['long-ago', 'just-ended', 'waits']);
    expect(await store.usage.retain(RETENTION, NOON_MS)).toBe(0);
    expect(await totals(store)).toMatchObject([{ invocations: 1 }]);
  });

  // Only PostgreSQL has several.
  if (kind === 'PostgreSQL')
    test('installations that share agents and tasks do not stand in each other’s way', async () => {
      const { store, url } = await open();
      const other = await openStore(url);
      const names = Array.from({ length: 150 }, (_, index) => `agent-${index}`);
      const importing = async ({ facts }: Store, node: string, order: readonly string[]): Promise<void> => {
        for (let batch = 0; batch < 15; batch++) {
          const both = order.flatMap((name): Fact[] => [
            call(`ex_${node}_${batch}_${name}`, name, { key: node, scopes: [`key:${node}`], costNanoUsd: 2 }),
            taskFact({ agent: name, task: `t${batch}`, updatedAtMs: NOON_MS + batch }),
          ]);
          await facts.import({ node, file: 'a.jnl', thread: 'w0-b1', fromByte: batch, toByte: batch + 1, facts: both });
        }
      };
      await Promise.all([importing(store, 'n1', names), importing(other, 'n2', names.toReversed())]);
      const counted = await totals(store);
      expect(counted).toHaveLength(150);
      expect(new Set(counted.map(({ invocations, nanoUsd }) => `${invocations} ${nanoUsd}`))).toEqual(new Set(['30 60']));
      // They forget the same tasks at once, too.
      const laterMs = NOON_MS + 11 * DAY_MS;
      await Promise.all([store, other].map(({ usage }) => usage.retain(RETENTION, laterMs)));
      expect((await store.agents.tasks({ agent: names[0]!, limit: 1 })).rows).toEqual([]);
      await other.close();
    });
});

function agent(name: string, change: Partial<StoredAgent> = {}): StoredAgent {
  return { name, version: 1, atMs: 5, by: 'root', content: `{"url":"https://${name}.example"}`, ...change };
}

function record(change: Partial<TaskRecord>): TaskRecord {
  const whose = { agent: 'a', task: 't', replica: 'r1', owner: 'key:ci' };
  return { ...whose, state: 'working', createdAtMs: NOON_MS, updatedAtMs: NOON_MS, ...change };
}

function taskFact(change: Partial<TaskRecord>, id = 'ex_task'): AgentTaskFact {
  return { kind: 'agent_task', id, atMs: NOON_MS, record: record(change) };
}

/** A call whose attempts moved no money of their own, unless `change` says so. */
function call(id: string, name: string, change: Partial<ExchangeFact>, invoked = true): ExchangeFact {
  const agentCall: AgentCallFact = {
    agent: name,
    generation: 1,
    operation: 'send',
    binding: 'JSONRPC',
    version: '1.0',
    ...(invoked && { invoked: true }),
    verdicts: [],
  };
  const { costNanoUsd: _, ...free } = exchangeFact(id, { attempts: [], agentCall });
  return { ...free, ...change };
}

/** Hands the facts over as one batch behind what was imported of that file. */
async function take(store: Store, facts: readonly Fact[], file = 'w0-b1-000000.jnl'): Promise<void> {
  const fromByte = (await store.facts.positions('n1'))[file] ?? 0;
  await store.facts.import({ node: 'n1', file, thread: file.slice(0, 5), fromByte, toByte: fromByte + 100, facts });
}

async function totals({ agents }: Store): Promise<AgentTotals[]> {
  return (await agents.totals()).toSorted((a, b) => (a.agent < b.agent ? -1 : 1));
}

function byTask(a: TaskRecord, b: TaskRecord): number {
  return a.task < b.task ? -1 : 1;
}

const claim = fc.record({ born: fc.nat({ max: 3 }), age: fc.nat({ max: 3 }), hasContext: fc.boolean() }).map(claimOf);
const claims = fc.array(fc.array(claim, { maxLength: 6 }), { maxLength: 4 });

/** What a worker says of a task. Who says the same instant says the same thing. */
function claimOf({ born, age, hasContext }: { born: number; age: number; hasContext: boolean }): Partial<TaskRecord> {
  const times = { createdAtMs: NOON_MS + born, updatedAtMs: NOON_MS + 10 + age };
  // Some have neither, and must not get them from others.
  const people = born % 2 === 1 && { team: `team_${born}`, endUser: `user_${born}` };
  const context = hasContext && { context: 'c' };
  return { ...times, owner: `key:${born}`, replica: `r${born}`, state: `state-${age}`, ...people, ...context };
}
