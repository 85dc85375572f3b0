/**
 * The authorisation matrix, made from the route table: every route × everybody × every state of a credential × two tenants × every trick with paths. What must come
 * out is worked out here from who is what where, not by the code under test.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Holder } from '../../src/control/contract/access.ts';
import type { AdminRoute } from '../../src/control/contract/route.ts';
import { ADMIN_ROUTES } from '../../src/control/routes/table.ts';
import { type Reply, inParallel } from '../support/ask.ts';
import { askRaw } from '../support/raw-socket.ts';
import { type Objects, type Tenants, badTokens, startTenants } from '../support/tenants.ts';

let world: Tenants;

beforeAll(async () => {
  world = await startTenants();
});
afterAll(() => world.box.stop());

const GUARDED = ADMIN_ROUTES.filter(({ access }) => access.on !== 'public');
const WIDTH = 8;

type Kind = keyof Objects;
type Who =
  | 'root'
  | 'admin'
  | 'viewer'
  | 'org admin'
  | 'org member'
  | 'team admin'
  | 'member'
  | 'foreign org admin'
  | 'foreign member';

/** What everybody is at the things of tenant A. Absent: nothing at all. */
const HELD: Record<Exclude<Who, 'root' | 'admin' | 'viewer'>, Partial<Record<Kind, readonly Holder[]>>> = {
  'org admin': {
    org: ['org_admin'],
    team: ['org_admin'],
    user: ['org_admin'],
    service_account: ['org_admin'],
    key: ['org_admin'],
  },
  'org member': { org: ['member'] },
  'team admin': { team: ['team_admin'], user: ['team_admin'], service_account: ['team_admin'], key: ['team_admin'] },
  // The user, the key and the token of the tenant are the member's.
  member: { team: ['member'], user: ['owner', 'member'], service_account: ['member'], key: ['owner', 'member'] },
  'foreign org admin': {},
  'foreign member': {},
};
const EVERYWHERE: Partial<Record<Who, Holder>> = { root: 'root', admin: 'admin', viewer: 'viewer' };
const PEOPLE = [
  'admin',
  'viewer',
  'org admin',
  'org member',
  'team admin',
  'member',
  'foreign org admin',
  'foreign member',
] as const;
const EVERYBODY: readonly Who[] = ['root', ...PEOPLE];
/** What each is somewhere, if only at himself. */
const ANYWHERE: Record<Who, readonly Holder[]> = {
  root: ['root'],
  admin: ['admin', 'owner'],
  viewer: ['viewer', 'owner'],
  'org admin': ['org_admin', 'owner'],
  'org member': ['member', 'owner'],
  'team admin': ['team_admin', 'owner'],
  member: ['member', 'owner'],
  'foreign org admin': ['org_admin', 'owner'],
  'foreign member': ['member', 'owner'],
};

function credentialOf(who: Who): string {
  const { a, b, root, admin, viewer } = world;
  return {
    root,
    admin,
    viewer,
    'org admin': a.orgAdmin,
    'org member': a.orgMember,
    'team admin': a.teamAdmin,
    member: a.member,
    'foreign org admin': b.orgAdmin,
    'foreign member': b.member,
  }[who];
}

/** The parameter that a route's rights hang on is the first. */
function objectOf({ path }: AdminRoute): Kind | undefined {
  return /\{(\w+)\}/.exec(path)?.[1] as Kind | undefined;
}

function heldAt(who: Who, kind: Kind | undefined): readonly Holder[] {
  const everywhere = EVERYWHERE[who];
  if (everywhere !== undefined) return [everywhere];
  return kind === undefined ? [] : (HELD[who as keyof typeof HELD][kind] ?? []);
}

type Verdict = 'done' | 'forbidden' | 'hidden';

function verdictOf(route: AdminRoute, who: Who): Verdict {
  const { access } = route;
  const has = (holders: readonly Holder[], allow: readonly Holder[]): boolean => allow.some((each) => holders.includes(each));
  switch (access.on) {
    case 'public':
    case 'anyone':
      return 'done';
    case 'people':
      return who === 'root' ? 'forbidden' : 'done';
    case 'agents':
      return EVERYWHERE[who] === undefined ? 'forbidden' : 'done';
    case 'installation': {
      const everywhere = EVERYWHERE[who];
      if (everywhere !== undefined) return has([everywhere], access.allow) ? 'done' : 'forbidden';
      return 'forbidden';
    }
    case 'anywhere':
      return has(ANYWHERE[who], access.allow) ? 'done' : 'forbidden';
    case 'object': {
      const kind = objectOf(route);
      // Of what has no place among the fixtures, nothing exists.
      if (kind === undefined || !(kind in world.a)) return 'hidden';
      const held = heldAt(who, kind);
      if (has(held, access.allow)) return 'done';
      return has(held, access.see) ? 'forbidden' : 'hidden';
    }
  }
}

/** Paths with the things of a tenant in them. Parameters of other kinds name nothing. */
function pathFor({ path }: AdminRoute, objects: Partial<Record<string, string>>): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => objects[name] ?? 'nothing');
}

/**
 * What nobody is served: whoever may do it is told that the request has a field too many, which is looked at last. So nothing is ever changed here, and a 400 proves that
 * authorisation was passed.
 */
const MARKER = { matrix_marker: true };

async function attempt(route: AdminRoute, path: string, credential: string | undefined): Promise<Reply> {
  return world.call(route.method, path, credential, route.method === 'GET' ? {} : { body: MARKER });
}

/** Members are looked up only after the group's rights are clear. */
function statusesOf(route: AdminRoute, verdict: Verdict): readonly number[] {
  if (verdict !== 'done') return [verdict === 'forbidden' ? 403 : 404];
  if (route.method !== 'GET') return [400];
  // What has no place among the fixtures: single requests, end users, models, versions.
  const isFixture = [...route.path.matchAll(/\{(\w+)\}/g)].every(([, name = '']) => name in world.a);
  return isFixture ? [200] : [200, 400, 404];
}

test('everybody gets from every route what his roles say', async () => {
  const cases = GUARDED.flatMap((route) => EVERYBODY.map((who) => ({ route, who })));
  const wrong = await inParallel(cases, WIDTH, async ({ route, who }) => {
    const expected = statusesOf(route, verdictOf(route, who));
    const { status, text } = await attempt(route, pathFor(route, { ...world.a }), credentialOf(who));
    const isMarked = status !== 400 || route.method === 'GET' || text.includes('matrix_marker');
    if (expected.includes(status) && isMarked) return [];
    return [`${who}: ${route.method} ${route.path}: ${status} instead of ${expected.join('/')} ${text.slice(0, 200)}`];
  });
  expect(wrong.flat()).toEqual([]);
  expect(cases.length).toBeGreaterThan(400);
});

test('a thing of another tenant answers, to the letter, like one that does not exist', async () => {
  const routes = GUARDED.filter((route) => route.access.on === 'object');
  const unknown: Record<string, string> = {
    org: 'org_00000000000000000000000',
    team: 'team_0000000000000000000000',
    user: 'usr_00000000000000000000000',
    service_account: 'svc_0000000000000000000000',
    key: 'key_00000000000000000000000',
    token: 'tok_00000000000000000000000',
  };
  for (const who of ['foreign org admin', 'foreign member', 'org member'] as const) {
    for (const route of routes.filter((each) => verdictOf(each, who) === 'hidden' && (objectOf(each) ?? '') in unknown)) {
      const theirs = await attempt(route, pathFor(route, { ...world.a }), credentialOf(who));
      const nobodys = await attempt(route, pathFor(route, unknown), credentialOf(who));
      expect({ who, path: route.path, status: theirs.status, text: theirs.text }).toEqual({
        who,
        path: route.path,
        status: 404,
        text: nobodys.text,
      });
    }
  }
});

test('foreign ids in bodies answer like unknown ones', async () => {
  const { a, b, call } = world;
  const pairs: [string, string, object, object][] = [
    ['POST', '/admin/v1/keys', { name: 'k', team: a.team }, { name: 'k', team: 'team_00000000000000000000' }],
    ['POST', '/admin/v1/keys', { name: 'k', org: a.org }, { name: 'k', org: 'org_00000000000000000000' }],
    ['POST', '/admin/v1/keys', { name: 'k', parent: a.key }, { name: 'k', parent: 'key_00000000000000000000' }],
    [
      'POST',
      '/admin/v1/keys',
      { name: 'k', service_account: a.service_account },
      { name: 'k', service_account: 'svc_00000000000000000000' },
    ],
    [
      'POST',
      '/admin/v1/keys',
      { name: 'k', team: b.team, user: a.user },
      { name: 'k', team: b.team, user: 'usr_00000000000000000000' },
    ],
    [
      'POST',
      '/admin/v1/keys',
      { name: 'k', parent: b.key, team: a.team, user: a.user },
      { name: 'k', parent: b.key, team: a.team, user: b.user },
    ],
    [
      'POST',
      '/admin/v1/keys',
      { name: 'k', team: b.team, org: a.org },
      { name: 'k', team: b.team, org: 'org_00000000000000000000' },
    ],
    ['POST', '/admin/v1/teams', { name: 't', org: a.org }, { name: 't', org: 'org_00000000000000000000' }],
    ['POST', '/admin/v1/service-accounts', { name: 's', team: a.team }, { name: 's', team: 'team_00000000000000000000' }],
  ];
  for (const [method, path, foreign, unknown] of pairs) {
    const [theirs, nobodys] = [
      await call(method, path, b.orgAdmin, { body: foreign }),
      await call(method, path, b.orgAdmin, { body: unknown }),
    ];
    expect({ foreign, status: theirs.status, text: theirs.text }).toEqual({
      foreign,
      status: nobodys.status,
      text: nobodys.text,
    });
    expect(theirs.status, JSON.stringify(foreign)).toBeGreaterThanOrEqual(400);
    expect(theirs.status).toBeLessThan(500);
  }
  const members = (user: string) => call('PUT', `/admin/v1/teams/${b.team}/members/${user}`, b.orgAdmin, { body: {} });
  const [theirs, nobodys] = [await members(a.user), await members('usr_00000000000000000000')];
  expect({ status: theirs.status, text: theirs.text }).toEqual({ status: 404, text: nobodys.text });
});

test('lists hold what the caller may see, and nothing else', async () => {
  const { a, call } = world;
  const idsOf = async (path: string, who: Who): Promise<string[]> => {
    const { text, status } = await call('GET', `/admin/v1${path}?limit=1000`, credentialOf(who));
    expect({ path, who, status }).toEqual({ path, who, status: 200 });
    return (JSON.parse(text) as { data: { id: string }[] }).data.map(({ id }) => id);
  };
  const lists: [string, Kind][] = [
    ['/orgs', 'org'],
    ['/teams', 'team'],
    ['/users', 'user'],
    ['/service-accounts', 'service_account'],
    ['/keys', 'key'],
  ];
  for (const [path, kind] of lists) {
    const route = ADMIN_ROUTES.find((each) => each.method === 'GET' && each.path === `/admin/v1${path}/{${kind}}`)!;
    for (const who of EVERYBODY) {
      const listed = (await idsOf(path, who)).includes(a[kind]);
      const readable = verdictOf(route, who) === 'done';
      expect({ path, who, listed }).toEqual({ path, who, listed: readable });
    }
  }
});

describe('credentials', () => {
  test('whoever proves nothing gets 401 from every route, and the same one from all', async () => {
    const bad: Record<string, string | undefined> = { ...(await badTokens(world)), none: undefined };
    const keys = { 'a key for models': world.a.inferenceKey, 'a key of the file': world.fileKey };
    const cases = GUARDED.flatMap((route) =>
      // Where agents are listed a virtual key proves who one is; it is granted no agent here, and may never write.
      Object.entries({ ...bad, ...(route.path.startsWith('/v1/agents') ? {} : keys) }).map(([state, credential]) => ({
        route,
        state,
        credential,
      })),
    );
    const seen = new Map<string, Set<string>>();
    const wrong = await inParallel(cases, WIDTH, async ({ route, state, credential }) => {
      const { status, text, headers } = await attempt(route, pathFor(route, { ...world.a }), credential);
      const kind = state === 'none' ? 'none' : 'bad';
      seen.set(kind, (seen.get(kind) ?? new Set()).add(text));
      return status === 401 && headers['www-authenticate'] === 'Bearer'
        ? []
        : [`${state}: ${route.method} ${route.path}: ${status}`];
    });
    expect(wrong.flat()).toEqual([]);
    // Nobody learns whether what he has was ever good.
    expect(seen.get('bad')?.size).toBe(1);
    expect(seen.get('none')?.size).toBe(1);
  });

  test('a virtual key never writes an agent, and sees none that it is not granted', async () => {
    const routes = GUARDED.filter(({ path }) => path.startsWith('/v1/agents'));
    const statuses = await inParallel(routes, WIDTH, async (route) => {
      const { status, text } = await attempt(route, pathFor(route, { ...world.a }), world.fileKey);
      return `${route.access.on}: ${status}${route.path === '/v1/agents' && status === 200 ? ` ${text}` : ''}`;
    });
    expect([...new Set(statuses)].sort()).toEqual(['agents: 200 {"data":[],"next":null}', 'agents: 404', 'installation: 403']);
  });

  test('unknown paths are 401 without a credential and 404 with one', async () => {
    for (const path of [
      '/admin',
      '/admin/',
      '/admin/v1',
      '/admin/v1/nothing',
      '/admin/v2/keys',
      '/admin/v1/keys/a/b/c',
      '/admin/v1/Keys',
    ]) {
      expect({ path, status: (await world.call('GET', path)).status }).toEqual({ path, status: 401 });
      expect({ path, status: (await world.call('POST', path, 'x', { body: {} })).status }).toEqual({ path, status: 401 });
      expect({ path, status: (await world.call('GET', path, world.root)).status }).toEqual({ path, status: 404 });
    }
  });

  test('a path that is known takes no other method', async () => {
    const known = new Map<string, Set<string>>();
    for (const { path, method } of GUARDED) known.set(path, (known.get(path) ?? new Set()).add(method));
    for (const [path, methods] of known) {
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((each) => !methods.has(each))) {
        const full = path.replace(/\{\w+\}/g, 'nothing');
        const fitting = GUARDED.filter((each) => matches(each.path, full)).map((each) => each.method as string);
        if (fitting.includes(method)) continue;
        const { status, headers } = await world.call(method, full, world.root, method === 'GET' ? {} : { body: {} });
        expect({ method, full, status }).toEqual({ method, full, status: 405 });
        expect(headers.allow?.split(', ').sort()).toEqual([...new Set(fitting)].sort());
      }
    }
  });

  test('management tokens call no models, keys for models manage nothing, and both are told so alike', async () => {
    const { call, a, root, admin } = world;
    for (const credential of [root, admin, a.member, a.orgAdmin]) {
      const { status, text } = await call('GET', '/v1/models', credential);
      expect({ status, text }).toEqual({ status: 401, text: expect.stringContaining('Use a virtual key') });
    }
    expect((await call('GET', '/v1/models', a.inferenceKey)).status).toBe(200);
  });

  test('a key for models stops with what it belongs to, and nobody learns why', async () => {
    const { make, call } = world;
    const { id: org = '' } = await make('POST', '/orgs', { name: 'states' });
    const states: Record<string, (ids: Record<'team' | 'user' | 'key', string>) => Promise<unknown>> = {
      'key blocked': ({ key }) => make('POST', `/keys/${key}/block`),
      'key removed': ({ key }) => make('DELETE', `/keys/${key}`),
      'key rotated without grace': ({ key }) => make('POST', `/keys/${key}/rotate`, {}),
      'owner blocked': ({ user }) => make('PATCH', `/users/${user}`, { blocked: true }),
      'owner removed': ({ user }) => make('DELETE', `/users/${user}`),
      'owner left the team': ({ team, user }) => make('DELETE', `/teams/${team}/members/${user}`),
      'team blocked': ({ team }) => make('PATCH', `/teams/${team}`, { blocked: true }),
      'from elsewhere only': ({ key }) => make('PATCH', `/keys/${key}`, { ips: ['203.0.113.0/24'] }),
      'org blocked': () => make('PATCH', `/orgs/${org}`, { blocked: true }),
    };
    const answers = new Set<string>();
    for (const [state, change] of Object.entries(states)) {
      const { id: team = '' } = await make('POST', '/teams', { name: state, org });
      const { id: user = '' } = await make('POST', '/users', { name: state });
      await make('PUT', `/teams/${team}/members/${user}`, {});
      const { id: key = '', key: secret = '' } = await make('POST', '/keys', { name: state, team, user });
      expect({ state, before: (await call('GET', '/v1/models', secret)).status }).toEqual({ state, before: 200 });
      await change({ team, user, key });
      const { status, text } = await call('GET', '/v1/models', secret);
      expect({ state, status }).toEqual({ state, status: 401 });
      answers.add(text);
    }
    answers.add((await call('GET', '/v1/models', `sk-sb-${'A'.repeat(49)}`)).text);
    expect(answers.size).toBe(1);
  });
});

/** Whether a path with parameters fits. */
function matches(path: string, full: string): boolean {
  return new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`).test(full);
}

describe('tricks with paths', () => {
  const port = (): number => Number(new URL(world.box.url).port);
  const requestOf = (method: string, target: string, headers: readonly string[] = []): string =>
    [`${method} ${target} HTTP/1.1`, ...headers, 'connection: close', '', ''].join('\r\n');
  const host = 'host: 127.0.0.1';

  const TRICKS: Record<string, (path: string) => string> = {
    'two slashes': (path) => path.replace('/v1/', '/v1//'),
    'two slashes first': (path) => `/${path}`,
    'a dot': (path) => path.replace('/v1/', '/v1/./'),
    'two dots': (path) => path.replace('/v1/', '/v1/x/../'),
    'an encoded dot': (path) => path.replace('/v1/', '/v1/%2e/'),
    'two encoded dots': (path) => path.replace('/v1/', '/v1/x/%2e%2e/'),
    'an encoded slash': (path) => path.replace('/v1/', '/v1%2f'),
    'an encoded letter': (path) => path.replace('/v1/', '/%76%31/'),
    'a parameter of a segment': (path) => `${path};x`,
    'a parameter in the middle': (path) => path.replace('/v1/', '/v1;x/'),
    'a slash at the end': (path) => `${path}/`,
    'an encoded slash at the end': (path) => `${path}%2f`,
    'capital letters': (path) => path.replace('/admin/', '/Admin/').replace('/metrics', '/Metrics'),
    'a backslash': (path) => path.replace('/v1/', '\\v1\\'),
    'an encoded NUL': (path) => `${path}%00`,
    'a fragment': (path) => `${path}#x`,
    'another encoding': (path) => `${path}%ff`,
  };

  test('none reaches a route, with the best credential or without any, and none fails', async () => {
    const cases = GUARDED.flatMap((route) =>
      Object.entries(TRICKS).flatMap(([trick, twist]) => {
        const path = pathFor(route, { ...world.a });
        return twist(path) === path ? [] : [{ route, trick, target: twist(path) }];
      }),
    );
    const wrong = await inParallel(cases, WIDTH, async ({ route, trick, target }) => {
      const best = await askRaw(port(), requestOf(route.method, target, [host, `authorization: Bearer ${world.root}`]));
      const none = await askRaw(port(), requestOf(route.method, target, [host]));
      // A slash that is encoded at the end of a parameter is a part of it.
      const isFine = [400, 404, 405].includes(best.status) && [400, 401, 404].includes(none.status);
      return isFine ? [] : [`${trick}: ${route.method} ${target}: ${best.status}, ${none.status}`];
    });
    expect(wrong.flat()).toEqual([]);
  });

  test('only the request line decides: no other host, form or header leads anywhere else', async () => {
    const { root } = world;
    const admin = `authorization: Bearer ${root}`;
    const status = async (method: string, target: string, headers: readonly string[]): Promise<number> =>
      (await askRaw(port(), requestOf(method, target, headers))).status;
    expect(await status('GET', '/admin/v1/me', [host, admin])).toBe(200);
    expect(await status('GET', `http://127.0.0.1/admin/v1/me`, [host, admin])).toBe(400);
    expect(await status('GET', '/admin/v1/me', ['host: x/?', admin])).toBe(400);
    expect(await status('GET', '/admin/v1/me', ['host: x/#', admin])).toBe(400);
    expect(await status('GET', '/admin/v1/me', [host, host, admin])).toBe(400);
    expect(await status('GET', '/admin/v1/me', ['host: 127.0.0.1/v1/models?'])).toBe(400);
    for (const header of [
      'x-original-url',
      'x-rewrite-url',
      'x-forwarded-uri',
      'x-forwarded-path',
      'x-http-method-override',
      'x-method-override',
    ]) {
      // A public path stays one, a guarded one stays guarded, reading stays reading.
      expect(await status('GET', '/health/live', [host, `${header}: /admin/v1/keys`])).toBe(200);
      expect(await status('GET', '/admin/v1/keys', [host, `${header}: /health/live`])).toBe(401);
      expect(await status('GET', `/admin/v1/keys/${world.a.key}`, [host, admin, `${header}: DELETE`])).toBe(200);
    }
    expect(await status('GET', `/admin/v1/keys/${world.a.key}?_method=DELETE`, [host, admin])).toBe(400);
    expect((await world.call('GET', `/admin/v1/keys/${world.a.key}`, root)).status).toBe(200);
    expect(await status('GET', '/admin/v1/me', [host, 'x-signalbox-client-ip: 127.0.0.1', 'x-forwarded-for: 127.0.0.1'])).toBe(
      401,
    );
  });
});
