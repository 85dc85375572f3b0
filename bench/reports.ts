/**
 * How long questions to the store take over a log of many rows, SQLite. `node bench/reports.ts [rows, default 5,000,000]`; the log covers 30 days.
 * The roll-ups are made from the log by SQL, as the import makes them from facts. Fails where the median of a question is above 100 ms.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import type { ReportQuery, RequestQuery } from '../src/store/ports/usage.ts';
import { openStore } from '../src/store/sql/open.ts';

const MOST_MS = 100;
const RUNS = 9;
const DAYS = 30;
const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 2, 1);

const rows = Number(process.argv[2] ?? 5_000_000);
const home = mkdtempSync(join(tmpdir(), 'signalbox-reports-'));
try {
  const path = join(home, 'store.db');
  await (await openStore(path)).close();
  build(path);
  const store = await openStore(path);
  const all: Omit<ReportQuery, 'by'> = { sinceMs: START_MS, untilMs: START_MS + DAYS * DAY_MS, limit: 1_000 };
  const week = { ...all, sinceMs: START_MS + 20 * DAY_MS + 3_600_000, untilMs: START_MS + 27 * DAY_MS + 3_600_000 };
  const reports: [string, ReportQuery][] = [
    ['keys, 30 days', { ...all, by: ['key'] }],
    ['teams × models, 30 days', { ...all, by: ['team', 'model'] }],
    ['keys × providers, 30 days', { ...all, by: ['key', 'provider'] }],
    ['tags × keys, 30 days', { ...all, by: ['tag', 'key'] }],
    ['one team by model and day', { ...all, by: ['model'], every: 'day', where: { team: ['team_3'] } }],
    ['models, a week by the hour', { ...week, by: ['model'], every: 'hour', limit: 10_000 }],
    ['keys × models, a week, of one org', { ...week, by: ['key', 'model'], within: { orgs: ['org_1'] } }],
    [
      'end users of one key, a week of days',
      { ...all, sinceMs: START_MS + 20 * DAY_MS, untilMs: START_MS + 27 * DAY_MS, by: ['end_user'], where: { key: ['key-7'] } },
    ],
  ];
  const logs: [string, RequestQuery][] = [
    ['newest page', { limit: 100 }],
    ['one key', { limit: 100, where: { key: 'key-7' } }],
    ['one end user, before day 10', { limit: 100, where: { endUser: 'person-7' }, untilMs: START_MS + 10 * DAY_MS }],
    ['a team member, errors', { limit: 100, within: { teams: ['team_3'] }, where: { outcome: 'upstream_error' } }],
    ['a key that never called', { limit: 100, where: { key: 'key-none' } }],
    ['page in the middle', { limit: 100, after: `${START_MS + 15 * DAY_MS}.ex_0` }],
  ];
  for (const [name, query] of reports)
    await time(`report  ${name}`, () => store.usage.report(query).then(({ rows: found }) => found.length));
  for (const [name, query] of logs)
    await time(`log     ${name}`, () => store.usage.requests(query).then(({ requests }) => requests.length));
  await store.close();
} finally {
  rmSync(home, { recursive: true, force: true });
}

async function time(name: string, ask: () => Promise<number>): Promise<void> {
  const times: number[] = [];
  let found = 0;
  for (let run = 0; run < RUNS; run++) {
    const from = performance.now();
    found = await ask();
    times.push(performance.now() - from);
  }
  const median = times.sort((a, b) => a - b)[Math.floor(RUNS / 2)]!;
  console.log(
    `${name.padEnd(46)} ${String(found).padStart(6)} rows  ${median.toFixed(1).padStart(7)} ms, at most ${times.at(-1)!.toFixed(1)} ms`,
  );
  if (median > MOST_MS) process.exitCode = 1;
}

/** 100 keys of 20 teams and 2 orgs, three models each of 12 at 4 providers; 50 end users each. All are at work in every hour. */
function build(path: string): void {
  const db = new DatabaseSync(path);
  const from = performance.now();
  const stepMs = (DAYS * DAY_MS) / rows;
  db.exec('PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 100000');
  db.exec(`
    with recursive n(i) as (select 0 union all select i + 1 from n where i < ${rows - 1})
    insert into request_log
    select 'ex_' || printf('%012d', i) || '000000000000', cast(${START_MS} + i * ${stepMs} as integer), 'req_' || i, 'chat', i % 2,
      'key-' || (i * 7919 % 100), 'usr_' || (i * 7919 % 50), 'team_' || (i * 7919 % 20), 'org_' || (i * 7919 % 2), 'person-' || (i * 7919 % 5000),
      'model-' || (i * 31 % 12), 'provider-' || (i * 31 % 4), 'provider/model', 200, iif(i % 49 = 0, 'upstream_error', 'ok'), null,
      1200, 300, 1000, 4720, 0, 180.5, 2400.5, '{}'
    from n`);
  const keys = 'key_id, principal, team, org, tags, model, provider';
  const counts = [
    'requests',
    'refused',
    'failed',
    'attempts',
    'input_tokens',
    'output_tokens',
    'cache_read_tokens',
    'cache_write_tokens',
    'reasoning_tokens',
    'nano_usd',
    'estimated_nano_usd',
    'total_ms',
  ];
  const fromLog = `count(*), 0, sum(outcome <> 'ok'), count(*), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), 0, 0, sum(cost_nano_usd), 0, sum(total_ms)`;
  const fromHours = counts.map((name) => `sum(${name})`).join(', ');
  const tagged = `(select *, '["tag-' || (length(key_id) % 3) || '"]' as tags from request_log)`;
  const rollUp = (
    table: string,
    source: string,
    { grainMs, more = '', sums }: { grainMs: number; more?: string; sums: string },
  ): void => {
    db.exec(`insert into ${table} (at_ms, ${keys}${more}, ${counts.join(', ')})
      select at_ms - at_ms % ${grainMs} as start, ${keys}${more}, ${sums} from ${source} group by start, ${keys}${more}`);
  };
  rollUp('usage_hours', tagged, { grainMs: 3_600_000, sums: fromLog });
  rollUp('usage_days', 'usage_hours', { grainMs: DAY_MS, sums: fromHours });
  rollUp('end_user_days', tagged, { grainMs: DAY_MS, more: ', end_user', sums: fromLog });
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  const count = (table: string): number => Number(db.prepare(`select count(*) as n from ${table}`).get()!['n']);
  console.log(
    `${count('request_log')} lines of the log, ${count('usage_hours')} hours, ${count('usage_days')} days, ${count('end_user_days')} days of end users`,
  );
  db.close();
  console.log(`built in ${((performance.now() - from) / 1000).toFixed(0)} s, ${(statSync(path).size / 2 ** 30).toFixed(2)} GiB`);
}
