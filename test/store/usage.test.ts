import { expect, test } from 'vitest';

import type { ExchangeFact } from '../../src/core/exchange.ts';
import type { BodyFact, Fact } from '../../src/core/fact.ts';
import type { Scope } from '../../src/core/rules.ts';
import type { Report, ReportQuery, UsagePort } from '../../src/store/ports/usage.ts';
import { openStore } from '../../src/store/sql/open.ts';
import type { Store } from '../../src/store/store.ts';
import { NOON_MS, attemptFact, exchangeFact } from '../support/facts.ts';
import { forEachStore } from '../support/stores.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MIDNIGHT_MS = NOON_MS - (NOON_MS % DAY_MS);

async function take(store: Store, facts: readonly Fact[]): Promise<void> {
  const positions = await store.facts.positions('n');
  const file = `w0-b-${Object.keys(positions).length}.jnl`;
  await store.facts.import({ node: 'n', file, thread: 'w0-b', fromByte: 0, toByte: 1, facts });
}

interface Made {
  key: string;
  atMs?: number;
  team?: string;
  model?: string;
  provider?: string;
  tags?: string[];
  endUser?: string;
  nanoUsd?: number;
  change?: Partial<ExchangeFact>;
}

let made = 0;

function exchange({ key, atMs = NOON_MS, team = 'a', model = 'gpt', provider = 'lab', tags = [], ...rest }: Made): ExchangeFact {
  const { endUser, nanoUsd = 1_000, change } = rest;
  const scopes: Scope[] = [`key:${key}`, `service:svc_${key}`, `team:${team}`, 'org:o', `model:${model}`, `provider:${provider}`];
  scopes.push(...tags.map((tag): Scope => `tag:${tag}`));
  if (endUser !== undefined) scopes.push(`end_user:${endUser}`);
  const attempts = [attemptFact({ provider, startedAtMs: atMs, spend: { reservedNanoUsd: 2_000, nanoUsd } })];
  const id = `ex_${String(++made).padStart(6, '0')}`;
  return exchangeFact(id, { key, atMs, scopes, model, provider, attempts, ...change });
}

async function pages(usage: UsagePort, query: Parameters<UsagePort['requests']>[0]): Promise<string[][]> {
  const found: string[][] = [];
  for (let after: string | undefined; ;) {
    const page = await usage.requests({ ...query, ...(after !== undefined && { after }) });
    found.push(page.requests.map(({ id }) => id));
    if (page.next === undefined) return found;
    after = page.next;
  }
}

const DAY: Pick<ReportQuery, 'sinceMs' | 'untilMs' | 'limit'> = {
  sinceMs: MIDNIGHT_MS,
  untilMs: MIDNIGHT_MS + DAY_MS,
  limit: 100,
};

/** `key gpt: requests nanoUsd`. */
function lines({ rows }: Report, by: ReportQuery['by']): string[] {
  return rows.map((row) => `${by.map((entity) => row[entity]).join(' ')}: ${row.requests} ${row.nanoUsd}`);
}

forEachStore((kind, open) => {
  test('the log is read page by page from the newest back, none twice and none left out, equal times too', async () => {
    const { store } = await open();
    const facts = Array.from({ length: 25 }, (_, index) => exchange({ key: 'k', atMs: NOON_MS + Math.floor(index / 4) }));
    await take(store, facts);
    const newestFirst = facts.map(({ id }) => id).reverse();
    const found = await pages(store.usage, { limit: 7 });
    expect(found.map((page) => page.length)).toEqual([7, 7, 7, 4]);
    expect(found.flat()).toEqual(newestFirst);
    const { next } = await store.usage.requests({ limit: 7 });
    await take(store, [exchange({ key: 'k', atMs: NOON_MS + 99 })]);
    // What came in between does not move the pages behind it.
    expect((await store.usage.requests({ limit: 7, after: next! })).requests.map(({ id }) => id)).toEqual(
      newestFirst.slice(7, 14),
    );
    await expect(store.usage.requests({ limit: 7, after: "1 or 1=1'" })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('every filter narrows; what is asked for is a value, whatever it looks like', async () => {
    const { store } = await open();
    const nasty = `100%_'";--\\`;
    const [plain, other] = [exchange({ key: 'k' }), exchange({ key: nasty, team: 'b', model: 'm2', provider: 'p2' })];
    const refused = exchange({
      key: 'k',
      atMs: NOON_MS + HOUR_MS,
      change: { outcome: 'refused', status: 429, endUser: 'u', requestId: 'mine' },
    });
    await take(store, [plain, other, refused]);
    const ids = async (query: Partial<Parameters<UsagePort['requests']>[0]>): Promise<string[]> =>
      (await store.usage.requests({ limit: 10, ...query })).requests.map(({ id }) => id);
    expect(await ids({ where: { key: nasty } })).toEqual([other.id]);
    expect(await ids({ where: { key: '%' } })).toEqual([]);
    expect(await ids({ where: { team: 'b', model: 'm2', provider: 'p2', principal: `svc_${nasty}` } })).toEqual([other.id]);
    expect(await ids({ where: { org: 'o' } })).toHaveLength(3);
    expect(await ids({ where: { outcome: 'refused', status: 429, endUser: 'u', requestId: 'mine' } })).toEqual([refused.id]);
    expect(await ids({ sinceMs: NOON_MS + 1 })).toEqual([refused.id]);
    expect(await ids({ untilMs: NOON_MS + 1 })).toEqual([other.id, plain.id]);
    expect(await ids({ within: { teams: ['b'], keys: [] } })).toEqual([other.id]);
    expect(await ids({ within: { teams: ['b'], keys: ['k'] } })).toHaveLength(3);
    expect(await ids({ within: {} })).toEqual([]);
  });

  test('a line of the log and its detail', async () => {
    const { store } = await open();
    const fact = exchange({ key: 'k', team: 'b', change: { clientIp: '10.0.0.1' } });
    await take(store, [fact]);
    expect(await store.usage.request(fact.id)).toMatchObject({
      id: fact.id,
      key: 'k',
      team: 'b',
      principal: 'svc_k',
      costNanoUsd: 1_000,
      inputTokens: 100,
      stream: false,
      detail: { clientIp: '10.0.0.1', attempts: [{ provider: 'lab' }] },
      bodies: [],
    });
    expect(await store.usage.request(fact.id, { teams: ['b'] })).toBeDefined();
    expect(await store.usage.request(fact.id, { teams: ['c'] })).toBeUndefined();
    expect(await store.usage.request('ex_none')).toBeUndefined();
  });

  test('reports by any one or two entities, by hour and day, of whom one may see', async () => {
    const { store } = await open();
    await take(store, [
      exchange({ key: 'k1', nanoUsd: 10, tags: ['batch', 'a"b'], endUser: 'u1' }),
      exchange({ key: 'k1', nanoUsd: 20, atMs: NOON_MS + HOUR_MS, model: 'm2', endUser: 'u2' }),
      exchange({ key: 'k2', nanoUsd: 40, team: 'b', provider: 'p2', tags: ['batch'], endUser: 'u1' }),
      exchange({ key: 'k2', nanoUsd: 80, team: 'b', atMs: NOON_MS + DAY_MS }),
    ]);
    const report = async (by: ReportQuery['by'], change: Partial<ReportQuery> = {}): Promise<string[]> =>
      lines(await store.usage.report({ ...DAY, by, ...change }), by);
    expect(await report([])).toEqual([': 3 70']);
    expect(await report(['key'])).toEqual(['k2: 1 40', 'k1: 2 30']);
    expect(await report(['team', 'provider'])).toEqual(['b p2: 1 40', 'a lab: 2 30']);
    expect(await report(['principal', 'model'])).toEqual(['svc_k2 gpt: 1 40', 'svc_k1 m2: 1 20', 'svc_k1 gpt: 1 10']);
    expect(await report(['tag', 'key'])).toEqual(['batch k2: 1 40', ' k1: 1 20', 'a"b k1: 1 10', 'batch k1: 1 10']);
    expect(await report(['end_user', 'tag'])).toEqual(['u1 batch: 2 50', 'u2 : 1 20', 'u1 a"b: 1 10']);
    expect(await report(['end_user'], { where: { end_user: ['u2'] } })).toEqual(['u2: 1 20']);
    expect(await report(['key'], { where: { tag: ['a"b', '%'] } })).toEqual(['k1: 1 10']);
    expect(await report(['key'], { where: { tag: ['BATCH'] } })).toEqual([]);
    expect(await report(['key'], { where: { key: [] } })).toEqual([]);
    expect(await report(['key'], { within: { teams: ['b'] } })).toEqual(['k2: 1 40']);
    expect(await report(['key'], { sinceMs: NOON_MS, untilMs: NOON_MS + 1 })).toEqual(['k2: 1 40', 'k1: 1 10']);
    const long = { untilMs: MIDNIGHT_MS + 2 * DAY_MS };
    const days = await store.usage.report({ ...DAY, ...long, by: ['org'], every: 'day' });
    expect(days.rows.map(({ atMs, nanoUsd }) => [atMs, nanoUsd])).toEqual([
      [MIDNIGHT_MS, 70],
      [MIDNIGHT_MS + DAY_MS, 80],
    ]);
    const hours = await store.usage.report({ ...DAY, ...long, by: [], every: 'hour', limit: 2 });
    expect(hours.rows.map(({ atMs }) => atMs)).toEqual([NOON_MS, NOON_MS + HOUR_MS]);
    expect(hours.isCut).toBe(true);
    await expect(report(['end_user'], { every: 'hour' })).rejects.toMatchObject({ code: 'failed' });
    expect(await store.usage.report({ ...DAY, by: [], sinceMs: 0, untilMs: 1 })).toEqual({ rows: [], isCut: false });
  });

  test('a report counts every hour once, and what is left of days when their hours are given up', async () => {
    const { store } = await open();
    const from = MIDNIGHT_MS - 40 * DAY_MS;
    const times = [from, from + 23 * HOUR_MS, from + DAY_MS + HOUR_MS, MIDNIGHT_MS - HOUR_MS, MIDNIGHT_MS, NOON_MS];
    await take(
      store,
      times.map((atMs, index) => exchange({ key: 'k', atMs, nanoUsd: 10 ** index })),
    );
    const sum = async (sinceMs: number, untilMs: number, change: Partial<ReportQuery> = {}): Promise<number[]> =>
      (await store.usage.report({ by: [], sinceMs, untilMs, limit: 100, ...change })).rows.map(({ nanoUsd }) => nanoUsd);
    const now = NOON_MS + 1_000;
    expect(await sum(from, now)).toEqual([111_111]);
    expect(await sum(from + HOUR_MS, now)).toEqual([111_110]);
    expect(await sum(from + HOUR_MS, NOON_MS)).toEqual([11_110]);
    expect(await sum(from + 20 * HOUR_MS, from + DAY_MS + HOUR_MS)).toEqual([10]);
    expect(await sum(from, from + DAY_MS)).toEqual([11]);
    expect(await sum(from + HOUR_MS, now, { every: 'day' })).toEqual([10, 100, 1_000, 110_000]);
    await store.usage.retain({ requestsDays: 90, bodiesDays: 90, hoursDays: 20, daysDays: 90, ledgerDays: 90 }, NOON_MS);
    expect(await sum(from, now)).toEqual([111_111]);
    expect(await sum(from, now, { every: 'day' })).toEqual([11, 100, 1_000, 110_000]);
  });

  test('what failed, was refused or was charged by estimate is counted as such', async () => {
    const { store } = await open();
    const attempts = [attemptFact({ spend: { reservedNanoUsd: 9, nanoUsd: 7, estimated: true } })];
    await take(store, [
      exchange({ key: 'k', change: { outcome: 'refused', attempts: [] } }),
      exchange({ key: 'k', change: { outcome: 'upstream_incomplete', attempts } }),
    ]);
    const { rows } = await store.usage.report({ ...DAY, by: [] });
    expect(rows).toMatchObject([
      { requests: 2, refused: 1, failed: 1, attempts: 1, nanoUsd: 7, estimatedNanoUsd: 7, inputTokens: 200 },
    ]);
  });

  test('bodies stand apart, sealed', async () => {
    const { store } = await open();
    const fact = exchange({ key: 'k' });
    const body: BodyFact = { kind: 'body', id: fact.id, part: 'request', atMs: NOON_MS, sealed: 'c2VhbGVk', bytes: 600 };
    await take(store, [body, fact, { ...body, part: 'response' }]);
    await take(store, [body]);
    expect(await store.usage.bodies(fact.id)).toEqual([
      { part: 'request', atMs: NOON_MS, sealed: 'c2VhbGVk', bytes: 600 },
      { part: 'response', atMs: NOON_MS, sealed: 'c2VhbGVk', bytes: 600 },
    ]);
    expect(await store.usage.request(fact.id)).toMatchObject({ bodies: ['request', 'response'] });
  });

  test('retention gives up what is old, in each kind by itself; budgets that run for ever keep their sum', async () => {
    const { store, query } = await open();
    const days = Array.from({ length: 100 }, (_, index) =>
      exchange({ key: 'k', atMs: NOON_MS - index * DAY_MS, endUser: `u${index}` }),
    );
    const old = days[10]!;
    const body: BodyFact = { kind: 'body', id: old.id, part: 'request', atMs: old.atMs, sealed: '', bytes: 0 };
    await take(store, [...days, body]);
    const retention = { requestsDays: 30, bodiesDays: 7, hoursDays: 20, daysDays: 50, ledgerDays: 62 };
    await store.usage.retain(retention, NOON_MS);
    const count = async (table: string): Promise<unknown> => Number((await query(`select count(*) as n from ${table}`))[0]!['n']);
    expect(await count('request_log')).toBe(31);
    expect(await count('recorded_bodies')).toBe(0);
    expect(await count('usage_hours')).toBe(21);
    expect(await count('usage_days')).toBe(50);
    expect(await count('end_user_days')).toBe(50);
    expect(await count('ledger_entries')).toBe(63);
    const spent = await store.ledger.spentSince([
      { scope: 'key:k', sinceMs: 0 },
      { scope: 'key:k', sinceMs: NOON_MS - 5 * DAY_MS },
    ]);
    expect(spent).toEqual([100_000, 6_000]);
    expect(await store.ledger.verify()).toMatchObject({ entries: 63, differences: [] });
    expect(await store.usage.retain(retention, NOON_MS)).toBe(0);
    // What comes late from before the mark is not proven, and not lost.
    await take(store, [exchange({ key: 'k', atMs: NOON_MS - 90 * DAY_MS })]);
    expect(await store.ledger.verify()).toMatchObject({ differences: [] });
    await store.usage.retain(retention, NOON_MS);
    expect(await store.ledger.spentSince([{ scope: 'key:k', sinceMs: 0 }])).toEqual([101_000]);
  });

  // Only PostgreSQL has several.
  if (kind === 'PostgreSQL')
    test('installations that share a store give up the same old money at once: budgets that run for ever count it once', async () => {
      const { store, url } = await open();
      const others = await Promise.all(Array.from({ length: 3 }, () => openStore(url)));
      await take(
        store,
        Array.from({ length: 300 }, (_, index) => exchange({ key: `k${index}`, atMs: NOON_MS - (100 + (index % 90)) * DAY_MS })),
      );
      const retention = { requestsDays: 30, bodiesDays: 7, hoursDays: 20, daysDays: 50, ledgerDays: 62 };
      await Promise.all([store, ...others].map(({ usage }) => usage.retain(retention, NOON_MS)));
      expect(await store.ledger.spentSince([{ scope: 'org:o', sinceMs: 0 }])).toEqual([300_000]);
      for (const other of others) await other.close();
    });
});
