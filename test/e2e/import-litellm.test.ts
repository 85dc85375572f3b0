/** From LiteLLM's config.yaml and a real PostgreSQL with its tables to keys that work here. */
import { hash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { ask } from '../support/ask.ts';
import type { Finished } from '../support/command.ts';
import { type Signalbox, runSignalbox, startSignalbox } from '../support/signalbox.ts';
import { describePostgres } from '../support/stores.ts';

const ENV = { ADMIN: 'admin-key-zyxwvutsrq0123' };
const CONFIG = `providers: { demo: {} }
models:
  - { name: gpt-4o, targets: [{ provider: demo, model: demo, price: free }] }
  - { name: mini, targets: [{ provider: demo, model: demo, price: free }] }
admin: { key: "\${env:ADMIN}" }
`;
const LITELLM = `model_list:
  - { model_name: gpt-4o, litellm_params: { model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY }, model_info: { access_groups: [beta] } }
  - { model_name: weird, litellm_params: { model: vertex_ai/gemini-pro } }
`;
const KEYS = Object.fromEntries(
  ['personal', 'team', 'blocked', 'grouped', 'routed', 'orphan', 'expired', 'dashboard', 'serving'].map((name) => [
    name,
    `sk-litellm-${name}-0123456789`,
  ]),
);
const hashed = (name: string): string => hash('sha256', KEYS[name]!);

/** The columns that are read, with the types that LiteLLM's migrations give them; and some that are not. */
const TABLES = `
create table "LiteLLM_BudgetTable" (budget_id text primary key, max_budget float8, soft_budget float8, max_parallel_requests int, tpm_limit bigint, rpm_limit bigint, model_max_budget jsonb, budget_duration text);
create table "LiteLLM_OrganizationTable" (organization_id text primary key, organization_alias text not null, budget_id text not null, models text[], spend float8 default 0);
create table "LiteLLM_TeamTable" (team_id text primary key, team_alias text, organization_id text, admins text[], members text[], members_with_roles jsonb default '{}', max_budget float8, spend float8 default 0, models text[], max_parallel_requests int, tpm_limit bigint, rpm_limit bigint, budget_duration text, blocked bool default false);
create table "LiteLLM_UserTable" (user_id text primary key, user_alias text, user_email text, user_role text, max_budget float8, spend float8 default 0, models text[], tpm_limit bigint, rpm_limit bigint, budget_duration text);
create table "LiteLLM_VerificationToken" (token text primary key, key_name text, key_alias text, spend float8 default 0, expires timestamp(3), models text[], user_id text, team_id text, organization_id text, project_id text, max_parallel_requests int, metadata jsonb default '{}', blocked bool, tpm_limit bigint, rpm_limit bigint, max_budget float8, budget_duration text, budget_id text, allowed_routes text[] default '{}', permissions jsonb default '{}', budget_limits jsonb);
create table "LiteLLM_OrganizationMembership" (user_id text, organization_id text, user_role text);
create table "LiteLLM_TeamMembership" (user_id text, team_id text, spend float8 default 0, budget_id text, primary key (user_id, team_id));
`;
const ROWS = `
insert into "LiteLLM_BudgetTable" (budget_id, max_budget, soft_budget, rpm_limit, budget_duration) values ('b-org', 1000, 800, 900, '30d'), ('b-key', 3, null, 7, '1d'), ('b-member', 2, null, 50, '1d');
insert into "LiteLLM_OrganizationTable" values ('org-1', 'Acme', 'b-org', '{}', 5);
insert into "LiteLLM_TeamTable" (team_id, team_alias, organization_id, members_with_roles, max_budget, budget_duration, models, rpm_limit, blocked) values
  ('t-1', 'Search', 'org-1', '[{"user_id": "u-1", "role": "admin"}, {"user_id": "u-2", "role": "user"}]', 50, '7d', '{gpt-4o}', 5000000000, false),
  ('t-2', 'Search', null, '[]', null, null, '{}', null, true),
  ('litellm-dashboard', null, null, '[]', null, null, '{}', null, false);
insert into "LiteLLM_UserTable" (user_id, user_alias, user_email, user_role, max_budget, spend, models, budget_duration) values
  ('u-1', 'Ada', 'ada@example.com', 'proxy_admin_viewer', null, 0, '{}', null),
  ('u-2', null, 'bob@example.com', 'internal_user', 10, 4, '{mini}', null);
insert into "LiteLLM_TeamMembership" (user_id, team_id, budget_id) values ('u-1', 't-1', 'b-member');
insert into "LiteLLM_OrganizationMembership" values ('u-1', 'org-1', 'org_admin'), ('u-9', 'org-1', 'internal_user');
`;

interface Key {
  id: string;
  name: string;
  user?: string;
  team?: string;
  org?: string;
  models: string[];
  blocked: boolean;
  limits?: object;
  budgets: { limit_usd: number; window: string; hard: boolean }[];
  expires_at?: string;
  tags: string[];
}

describePostgres((postgres) => {
  const home = mkdtempSync(join(tmpdir(), 'signalbox-import-'));
  const litellm = join(home, 'config.yaml');
  let box: Signalbox;
  let url: string;

  beforeAll(async () => {
    writeFileSync(litellm, LITELLM);
    url = await postgres().newDatabase();
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query(TABLES + ROWS);
    const insert = (name: string, columns: object): Promise<unknown> => {
      const row = { token: hashed(name), key_alias: name, key_name: `sk-...${name.slice(-4)}`, ...columns };
      const places = Object.keys(row).map((_, index) => `$${index + 1}`);
      return client.query(
        `insert into "LiteLLM_VerificationToken" (${Object.keys(row).join()}) values (${places.join()})`,
        Object.values(row),
      );
    };
    await insert('personal', { user_id: 'u-2', metadata: { tags: ['batch', 'not a tag'] }, max_budget: 5, spend: 2 });
    await insert('team', {
      user_id: 'u-1',
      team_id: 't-1',
      budget_id: 'b-key',
      models: ['all-team-models'],
      max_parallel_requests: 4,
    });
    await insert('blocked', { blocked: true, expires: '2099-01-31 12:00:00' });
    await insert('grouped', {
      models: ['beta'],
      budget_limits: JSON.stringify([
        { budget_duration: '24h', max_budget: 1 },
        { budget_duration: '2d', max_budget: 2 },
      ]),
    });
    await insert('routed', { allowed_routes: ['/v1/embeddings'] });
    await insert('serving', { allowed_routes: ['llm_api_routes'], organization_id: 'org-1', permissions: { get_spend: true } });
    await insert('orphan', { team_id: 't-gone' });
    await insert('expired', { expires: '2020-01-01 00:00:00' });
    await insert('dashboard', { team_id: 'litellm-dashboard', user_id: 'u-1' });
    await client.end();
    box = await startSignalbox({ config: CONFIG, env: ENV });
  });
  afterAll(async () => {
    await box.stop();
    rmSync(home, { recursive: true });
  });

  const run = (...args: string[]): Promise<Finished> =>
    runSignalbox(['import', 'litellm', litellm, '--database', url, '--data', box.dataDir, ...args], {
      cwd: home,
      env: { SIGNALBOX_ADMIN_KEY: ENV.ADMIN },
    });

  async function list<Row>(path: string): Promise<Row[]> {
    const reply = await ask(`${box.url}/admin/v1/${path}`, { headers: { authorization: `Bearer ${ENV.ADMIN}` } });
    return (JSON.parse(reply.text) as { data: Row[] }).data;
  }

  async function chat(key: string, model: string): Promise<number> {
    const body = { model, messages: [{ role: 'user', content: 'hi' }] };
    return (await ask(`${box.url}/v1/chat/completions`, { body, headers: { authorization: `Bearer ${key}` } })).status;
  }

  test('a dry run says what it would do, and does nothing', async () => {
    const dry = await run('--dry-run', '--json', '--out', join(home, 'none.yaml'));
    expect(dry, dry.stderr).toMatchObject({ code: 0 });
    expect(JSON.parse(dry.stdout)).toMatchObject({
      dry_run: true,
      counts: { models: 1, organisations: 1, teams: 2, users: 2, keys: 6 },
    });
    expect([existsSync(join(home, 'none.yaml')), (await list('keys')).length, (await list('teams')).length]).toEqual([
      false,
      0,
      0,
    ]);
    expect(dry.stdout + dry.stderr).not.toContain(hashed('team'));
  });

  test('keys that clients have go on working, with what bound them', async () => {
    expect(await chat(KEYS['team']!, 'gpt-4o')).toBe(401);
    const done = await run('--out', join(home, 'gateway.yaml'));
    expect(done, done.stderr).toMatchObject({ code: 0 });
    expect(done.stderr).toContain('keys: 6 made, 0 there already, 0 refused');
    expect(readFileSync(join(home, 'gateway.yaml'), 'utf8')).toContain('${env:OPENAI_API_KEY}');
    for (const note of [
      'model_list[1]',
      'key orphan: is left out',
      'key expired: is left out',
      'key routed: is taken over blocked',
      'a budget per 2d became',
    ]) {
      expect(done.stderr).toContain(note);
    }
    expect(await chat(KEYS['team']!, 'gpt-4o')).toBe(200);
    // The team's grant holds for its keys, the user's for his own.
    expect(await chat(KEYS['team']!, 'mini')).toBe(404);
    expect(await chat(KEYS['personal']!, 'mini')).toBe(200);
    expect(await chat(KEYS['personal']!, 'gpt-4o')).toBe(404);
    expect(await chat(KEYS['grouped']!, 'gpt-4o')).toBe(200);
    expect(await chat(KEYS['serving']!, 'gpt-4o')).toBe(200);
    for (const name of ['blocked', 'routed', 'orphan', 'expired', 'dashboard'])
      expect(await chat(KEYS[name]!, 'gpt-4o'), name).toBe(401);
  });

  test('limits, budgets and owners are theirs', async () => {
    const keys = new Map((await list<Key>('keys')).map((key) => [key.name, key]));
    const [org] = await list<{ id: string; name: string; limits: object; budgets: object[] }>('orgs');
    expect(org).toMatchObject({
      name: 'Acme',
      limits: { rpm: 900 },
      budgets: [
        { limit_usd: 1000, window: 'month', hard: true },
        { limit_usd: 800, window: 'month', hard: false },
      ],
    });
    const teams = await list<{ id: string; name: string; org?: string; blocked: boolean; limits?: object; budgets: object[] }>(
      'teams',
    );
    expect(teams.map(({ name }) => name)).toEqual(['Search', 'Search (t-2)']);
    expect(teams[0]).toMatchObject({ org: org!.id, budgets: [{ limit_usd: 50, window: 'week' }], blocked: false });
    expect(teams[1]).toMatchObject({ blocked: true });
    const users = await list<{ id: string; name: string; email: string; role: string; budgets: object[] }>('users');
    expect(users.map(({ name, email, role }) => [name, email, role])).toEqual([
      ['Ada', 'ada@example.com', 'viewer'],
      ['bob@example.com', 'bob@example.com', 'none'],
    ]);
    // For ever is what is left of it.
    expect(users[1]).toMatchObject({ budgets: [{ limit_usd: 6, window: 'total' }] });
    expect(keys.get('team')).toMatchObject({
      user: users[0]!.id,
      team: teams[0]!.id,
      models: ['*'],
      limits: { rpm: 7, concurrent: 4 },
      budgets: [
        { limit_usd: 2, window: 'day' },
        { limit_usd: 3, window: 'day' },
      ],
    });
    expect(keys.get('personal')).toMatchObject({
      user: users[1]!.id,
      models: ['mini'],
      tags: ['batch'],
      budgets: [{ limit_usd: 3, window: 'total' }],
    });
    expect(keys.get('grouped')).toMatchObject({
      models: ['gpt-4o'],
      budgets: [
        { limit_usd: 1, window: 'day' },
        { limit_usd: 2, window: 'week' },
      ],
    });
    expect(keys.get('blocked')).toMatchObject({ blocked: true, expires_at: '2099-01-31T12:00:00.000Z' });
    expect(keys.get('serving')).toMatchObject({ org: org!.id });
    const members = await list<{ user: string; role: string }>(`teams/${teams[0]!.id}/members`);
    expect(new Map(members.map(({ user, role }) => [user, role]))).toEqual(
      new Map([
        [users[0]!.id, 'team_admin'],
        [users[1]!.id, 'member'],
      ]),
    );
  });

  test('a second run finds what is there, and makes nothing twice', async () => {
    const again = await run('--json');
    expect(again, again.stderr).toMatchObject({ code: 0 });
    const nothing = { made: 0, refused: 0 };
    expect(JSON.parse(again.stdout)).toMatchObject({
      made: {
        organisations: { ...nothing, there: 1 },
        teams: { ...nothing, there: 2 },
        users: { ...nothing, there: 2 },
        keys: { ...nothing, there: 6 },
      },
    });
    expect(await list('keys')).toHaveLength(6);
  });

  test('a file that is there is not written over, and a database of somebody else’s is told apart', async () => {
    expect(await run('--out', join(home, 'gateway.yaml'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is there already'),
    });
    const other = await postgres().newDatabase();
    const wrong = await runSignalbox(['import', 'litellm', litellm, '--database', other], { cwd: home });
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('no LiteLLM database') });
    const gone = await runSignalbox(['import', 'litellm', litellm, '--database', 'postgres://u:hunter2hunter2@127.0.0.1:9/x'], {
      cwd: home,
    });
    expect(gone.code).toBe(1);
    expect(gone.stderr).not.toContain('hunter2');
    const noUrl = await runSignalbox(['import', 'litellm', litellm, '--database', 'postgres://u:hunter2@no host:x/y'], {
      cwd: home,
    });
    expect(noUrl).toMatchObject({
      code: 1,
      stderr: 'signalbox: --database must be a URL that begins with postgres://, or `env`\n',
    });
  });
});
