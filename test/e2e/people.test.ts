/** People signing on at a real provider, by HTTP: the whole flow, what it makes of them, and everything that must not work. */
import { SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { ask, jsonOf } from '../support/ask.ts';
import { type Browser, type Page, createBrowser } from '../support/browser.ts';
import { CLIENT_ID, CLIENT_SECRET, type IdentityProvider, startIdentityProvider } from '../support/identity-provider.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

const ADMIN_KEY = 'key-of-the-operator-01';
const SESSION = '__Host-signalbox';
const SIGN_ON = '__Host-signalbox-sign-on';

let provider: IdentityProvider;
let box: Signalbox;
let team: string;
let org: string;

beforeAll(async () => {
  provider = await startIdentityProvider();
  const env = { ADMIN_KEY, CLIENT_SECRET };
  box = await startSignalbox({ config: configText(), env });
  provider.knowClient(box.url);
  org = (await admin('POST', '/orgs', { name: 'Acme' }))['id'] as string;
  team = (await admin('POST', '/teams', { name: 'Search', org }))['id'] as string;
  await box.reload(configText());
});
afterAll(async () => {
  await box?.kill();
  await provider?.close();
});
beforeEach(() => provider.tamper(undefined));

function configText(more: object = {}): string {
  const groups = [
    { group: 'platform', role: 'admin' },
    { group: 'watchers', role: 'viewer' },
    ...(team === undefined
      ? []
      : [
          { group: 'search', team },
          { group: 'search-leads', team, admin: true },
          { group: 'acme', org, admin: true },
        ]),
  ];
  return JSON.stringify({
    server: { workers: 2 },
    admin: { key: '${env:ADMIN_KEY}' },
    oidc: {
      issuer: provider.issuer,
      client_id: CLIENT_ID,
      client_secret: '${env:CLIENT_SECRET}',
      scopes: ['profile', 'email', 'groups'],
      groups,
      allowed_domains: ['example.com'],
      ...more,
    },
  });
}

async function admin(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<Record<string, unknown>> {
  const reply = await ask(`${box.url}/admin/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${ADMIN_KEY}` },
    ...(body !== undefined && { body }),
  });
  expect({ path, status: reply.status, text: reply.status < 300 ? '' : reply.text }).toMatchObject({ text: '' });
  return jsonOf(reply);
}

const ANN = { sub: 'ann-1', name: 'Ann Lee', email: 'ann@example.com', email_verified: true };

async function signOn(browser: Browser, account: Parameters<IdentityProvider['next']>[0]): Promise<Page> {
  provider.next(account);
  return browser.follow(`${box.url}/oidc/login`);
}

/** Goes through the provider and stops before our callback is called. */
async function callbackUrl(browser: Browser, account: Parameters<IdentityProvider['next']>[0]): Promise<string> {
  provider.next(account);
  const page = await browser.follow(`${box.url}/oidc/login`, (url) => url.startsWith(`${box.url}/oidc/callback`));
  return String(page.headers['location']);
}

const sessionOf = (browser: Browser): string | undefined => browser.cookies.get(new URL(box.url).host)?.get(SESSION);
const me = (browser: Browser) => browser.open(`${box.url}/admin/v1/me`);

describe('signing on', () => {
  it('asks by code with PKCE, state and nonce, and makes a user with what the groups give', async () => {
    const browser = createBrowser();
    provider.next({ ...ANN, groups: ['search', 'watchers'] });
    const first = await browser.open(`${box.url}/oidc/login`);
    const asked = new URL(String(first.headers['location']));
    expect(first.status).toBe(302);
    expect(asked.origin).toBe(provider.issuer);
    expect(Object.fromEntries(asked.searchParams)).toMatchObject({
      response_type: 'code',
      client_id: CLIENT_ID,
      redirect_uri: `${box.url}/oidc/callback`,
      scope: 'openid profile email groups',
      code_challenge_method: 'S256',
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      state: expect.stringMatching(/^[\w-]{43}$/),
      nonce: expect.stringMatching(/^[\w-]{43}$/),
    });
    const page = await browser.follow(asked.href);
    expect(page.status).toBe(200);
    expect(page.headers['content-security-policy']).toContain("default-src 'none'");
    expect(page.text).toContain('url=/console/');
    const found = JSON.parse((await me(browser)).text) as Record<string, unknown>;
    expect(found).toMatchObject({ kind: 'user', via: 'session', name: 'Ann Lee', role: 'viewer', teams: { [team]: 'member' } });
    const user = await admin('GET', `/users/${String(found['id'])}`);
    expect(user).toMatchObject({ name: 'Ann Lee', email: 'ann@example.com', role: 'viewer' });
  });

  it('gives a cookie that only this host gets, and no page of another site makes use of', async () => {
    const browser = createBrowser();
    await signOn(browser, ANN);
    const ours = browser.setCookies.filter((line) => line.startsWith('__Host-'));
    expect(ours).toEqual([
      expect.stringMatching(new RegExp(`^${SIGN_ON}=[^;]+; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600$`)),
      expect.stringMatching(new RegExp(`^${SESSION}=[\\w-]{43}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200$`)),
    ]);
    // What the store keeps does not open a session.
    const { data } = JSON.parse((await browser.open(`${box.url}/admin/v1/me/sessions`)).text) as {
      data: { id: string; current: boolean }[];
    };
    const current = data.find((each) => each.current)!;
    expect(JSON.stringify(data)).not.toContain(sessionOf(browser));
    const thief = await ask(`${box.url}/admin/v1/me`, { headers: { cookie: `${SESSION}=${current.id}` } });
    expect(thief.status).toBe(401);
  });

  it('takes away what the groups no longer give, and leaves alone what they do not decide', async () => {
    const browser = createBrowser();
    await signOn(browser, { ...ANN, groups: ['search-leads', 'platform', 'acme'] });
    const before = JSON.parse((await me(browser)).text) as { id: string };
    expect(before).toMatchObject({ role: 'admin', teams: { [team]: 'team_admin' }, orgs: { [org]: 'org_admin' } });
    const other = (await admin('POST', '/teams', { name: `Other ${before.id}` }))['id'] as string;
    const put = await ask(`${box.url}/admin/v1/teams/${other}/members/${before.id}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${ADMIN_KEY}` },
      body: { role: 'member' },
    });
    expect(put.status).toBe(200);
    const again = createBrowser();
    await signOn(again, { ...ANN, groups: ['search'] });
    expect(JSON.parse((await me(again)).text)).toMatchObject({
      id: before.id,
      role: 'none',
      teams: { [team]: 'member', [other]: 'member' },
      orgs: {},
    });
    // The other session is the same person, and has the same rights now.
    expect(JSON.parse((await me(browser)).text)).toMatchObject({ role: 'none', orgs: {} });
  });

  it('finds who was there before by a verified address, once', async () => {
    const { id } = await admin('POST', '/users', { name: 'Ben', email: 'Ben@example.com', role: 'viewer' });
    const browser = createBrowser();
    await signOn(browser, {
      sub: 'ben-1',
      name: 'Ben of the provider',
      email: 'ben@example.com',
      email_verified: true,
      groups: ['watchers'],
    });
    expect(JSON.parse((await me(browser)).text)).toMatchObject({ id, role: 'viewer' });
    // Somebody who was given the address later is somebody else.
    const later = createBrowser();
    await signOn(later, { sub: 'ben-2', name: 'Ben the second', email: 'ben@example.com', email_verified: true });
    const second = JSON.parse((await me(later)).text) as { id: string };
    expect(second.id).not.toBe(id);
    expect(await admin('GET', `/users/${second.id}`)).not.toHaveProperty('email', 'ben@example.com');
  });

  it.each([
    ['of another domain', { sub: 'eve-1', email: 'eve@evil.example', email_verified: true }],
    ['whose address nobody verified', { sub: 'eve-2', email: 'eve@example.com', email_verified: false }],
    ['without an address', { sub: 'eve-3' }],
  ])('lets nobody in %s', async (_what, account) => {
    const browser = createBrowser();
    const page = await signOn(browser, account);
    expect(page.status).toBe(403);
    expect(sessionOf(browser)).toBeUndefined();
  });

  it('lets a blocked person neither in nor go on', async () => {
    const browser = createBrowser();
    const cora = { sub: 'cora-1', name: 'Cora', email: 'cora@example.com', email_verified: true };
    await signOn(browser, cora);
    const { id } = JSON.parse((await me(browser)).text) as { id: string };
    const setBlocked = async (blocked: boolean): Promise<void> => {
      const headers = { authorization: `Bearer ${ADMIN_KEY}` };
      const patched = await ask(`${box.url}/admin/v1/users/${id}`, { method: 'PATCH' as never, headers, body: { blocked } });
      expect(patched.status).toBe(200);
    };
    await setBlocked(true);
    expect((await me(browser)).status).toBe(401);
    expect((await signOn(createBrowser(), cora)).status).toBe(403);
    await setBlocked(false);
    expect((await me(browser)).status).toBe(401);
    expect((await signOn(browser, cora)).status).toBe(200);
  });

  it('leads only to paths of the console', async () => {
    const browser = createBrowser();
    for (const bad of [
      'https://evil.example/',
      '//evil.example',
      '/\\evil.example',
      '/admin/v1/me',
      '/console/"><script>',
      'javascript:alert(1)',
    ]) {
      const page = await browser.open(`${box.url}/oidc/login?return_to=${encodeURIComponent(bad)}`);
      expect([bad, page.status]).toEqual([bad, 400]);
    }
    provider.next(ANN);
    const page = await browser.follow(`${box.url}/oidc/login?return_to=${encodeURIComponent('/console/keys?a=1&b=2')}`);
    expect(page.text).toContain('url=/console/keys?a=1&amp;b=2');
  });

  it('stands in the audit log, and none of its secrets in any log', async () => {
    const { data } = (await admin('GET', '/audit?action=user.create&limit=1')) as {
      data: { via: string; outcome: string; target: string }[];
    };
    expect(data[0]).toMatchObject({ via: 'identity_provider', outcome: 'done', target: expect.stringMatching(/^user:usr_/) });
    expect(box.stderr()).toContain('a person signed on');
    for (const secret of [CLIENT_SECRET, 'code=', 'code_verifier', 'id_token']) expect(box.stderr()).not.toContain(secret);
  });
});

describe('what must not work', () => {
  const failsAt = async (browser: Browser, url: string): Promise<void> => {
    const page = await browser.open(url);
    expect({ status: page.status, text: page.text }).toMatchObject({
      status: 401,
      text: expect.stringContaining('sign_on_failed'),
    });
    expect(sessionOf(browser)).toBeUndefined();
    expect(page.text).not.toMatch(/nonce|state|issuer|code_verifier/);
  };

  it('a callback in a browser that began nothing', async () => {
    const url = await callbackUrl(createBrowser(), ANN);
    await failsAt(createBrowser(), url);
  });

  it('a callback of somebody else’s sign-on (login CSRF)', async () => {
    const [mine, attackers] = [createBrowser(), createBrowser()];
    const url = await callbackUrl(attackers, { ...ANN, sub: 'mallory' });
    await callbackUrl(mine, ANN);
    await failsAt(mine, url);
  });

  it('a code that is used twice, in the same browser or with its stolen cookie', async () => {
    const browser = createBrowser();
    const url = await callbackUrl(browser, ANN);
    const cookie = `${SIGN_ON}=${browser.cookies.get(new URL(box.url).host)!.get(SIGN_ON)!}`;
    expect((await browser.open(url)).status).toBe(200);
    const thief = createBrowser();
    const page = await thief.open(url, { headers: { cookie } });
    expect(page.status).toBe(401);
  });

  it.each([
    ['state', (url: URL) => url.searchParams.set('state', 'x'.repeat(43))],
    ['no state', (url: URL) => url.searchParams.delete('state')],
    ['two states', (url: URL) => url.searchParams.append('state', 'y')],
    ['issuer', (url: URL) => url.searchParams.set('iss', 'https://evil.example')],
    ['no issuer', (url: URL) => url.searchParams.delete('iss')],
    ['code', (url: URL) => url.searchParams.set('code', 'made-up')],
    ['no code', (url: URL) => url.searchParams.delete('code')],
    ['error', (url: URL) => url.searchParams.set('error', 'access_denied')],
  ])('another %s in the callback', async (_what, change) => {
    const browser = createBrowser();
    const url = new URL(await callbackUrl(browser, ANN));
    change(url);
    await failsAt(browser, url.href);
    // And the sign-on is over: one try each.
    await failsAt(browser, url.href);
  });

  it('a sealed cookie that was changed', async () => {
    const browser = createBrowser();
    const url = await callbackUrl(browser, ANN);
    const jar = browser.cookies.get(new URL(box.url).host)!;
    const value = jar.get(SIGN_ON)!;
    jar.set(SIGN_ON, `${value.slice(0, -2)}${value.endsWith('AA') ? 'BB' : 'AA'}`);
    await failsAt(browser, url);
  });

  const nowS = Math.floor(Date.now() / 1000);
  const claims = { sub: 'ann-1', aud: CLIENT_ID, iat: nowS };
  /** An ID token in the place of the provider's own. The nonce is that of the sign-on, where the case does not say otherwise. */
  const idTokens: [string, (nonce: string) => Promise<string>][] = [
    ['another nonce', () => provider.token({ ...claims, nonce: 'another' })],
    ['no nonce', () => provider.token(claims)],
    ['another audience', (nonce) => provider.token({ ...claims, nonce, aud: 'somebody-else' })],
    ['another issuer', (nonce) => provider.token({ ...claims, nonce, iss: 'https://evil.example' })],
    ['nearly the issuer', (nonce) => provider.token({ ...claims, nonce, iss: `${provider.issuer}/` })],
    ['a past end', (nonce) => provider.token({ ...claims, nonce }, { expiresS: -120 })],
    ['a key of somebody else', (nonce) => forged(nonce)],
    [
      'alg none',
      (nonce) => Promise.resolve(`${b64({ alg: 'none' })}.${b64({ ...claims, nonce, iss: provider.issuer, exp: nowS + 60 })}.`),
    ],
    ['HS256 by the client secret', (nonce) => hs256(nonce)],
  ];
  const b64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const hs256 = (nonce: string): Promise<string> =>
    new SignJWT({ ...claims, nonce, iss: provider.issuer, exp: nowS + 60 })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(Buffer.from(CLIENT_SECRET));
  const forged = async (nonce: string): Promise<string> => {
    const { privateKey } = await (await import('jose')).generateKeyPair('RS256');
    return new SignJWT({ ...claims, nonce, iss: provider.issuer, exp: nowS + 60 })
      .setProtectedHeader({ alg: 'RS256', kid: 'the-key' })
      .sign(privateKey);
  };

  /** The provider's answers as whoever misbehaves there would give them: the nonce went there in the open. */
  const answerWith = (idToken: string): void =>
    provider.tamper((request, response) => {
      const answers: Record<string, object> = {
        '/token': { access_token: 'at', token_type: 'Bearer', expires_in: 60, id_token: idToken },
        '/me': ANN,
      };
      const answer = answers[request.url ?? ''];
      if (answer === undefined) return false;
      request.resume();
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
      return true;
    });

  it('…but an ID token with all that belongs to it does', async () => {
    const browser = createBrowser();
    const url = await callbackUrl(browser, ANN);
    answerWith(await provider.token({ ...claims, nonce: lastNonce }));
    expect((await browser.open(url)).status).toBe(200);
    expect(sessionOf(browser)).toBeDefined();
  });

  it.each(idTokens)('an ID token with %s', async (_what, make) => {
    const browser = createBrowser();
    const url = await callbackUrl(browser, ANN);
    answerWith(await make(lastNonce));
    await failsAt(browser, url);
  });

  let lastNonce = '';
  beforeEach(() => {
    provider.tamper((request) => {
      const nonce = new URL(request.url ?? '', provider.issuer).searchParams.get('nonce');
      if (nonce !== null) lastNonce = nonce;
      return false;
    });
  });

  it('user information about somebody else', async () => {
    const browser = createBrowser();
    const url = await callbackUrl(browser, ANN);
    provider.tamper((request, response) => {
      if (request.url !== '/me') return false;
      const claimed = { sub: 'somebody-else', email: 'root@example.com', email_verified: true, groups: ['platform'] };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(claimed));
      return true;
    });
    await failsAt(browser, url);
  });
});

describe('a session', () => {
  const post = (path: string, browser: Browser, headers: Record<string, string>, body = '{}'): Promise<Page> =>
    browser.open(`${box.url}${path}`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });

  it('changes things only from our own pages', async () => {
    const browser = createBrowser();
    await signOn(browser, { ...ANN, groups: ['platform'] });
    let count = 0;
    const make = (headers: Record<string, string>, body?: string): Promise<Page> =>
      post('/admin/v1/teams', browser, headers, body ?? JSON.stringify({ name: `Made ${++count}` }));
    const own = new URL(box.url).origin;
    for (const headers of [
      {},
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: `${own}.evil.example` },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site', origin: own },
      { 'sec-fetch-site': 'none' },
      { 'sec-fetch-site': 'cross-site', origin: own },
    ])
      expect([headers, (await make(headers)).status]).toEqual([headers, 403]);
    expect((await make({ origin: own })).status).toBe(201);
    expect((await make({ 'sec-fetch-site': 'same-origin', origin: own })).status).toBe(201);
    // A form of another site cannot send JSON.
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])
      expect((await make({ origin: own, 'content-type': type })).status).toBe(400);
  });

  it('is new with every sign-on; the one before ends', async () => {
    const browser = createBrowser();
    await signOn(browser, ANN);
    const before = sessionOf(browser)!;
    await signOn(browser, ANN);
    expect(sessionOf(browser)).not.toBe(before);
    const old = await ask(`${box.url}/admin/v1/me`, { headers: { cookie: `${SESSION}=${before}` } });
    expect(old.status).toBe(401);
  });

  it('is never one that somebody else chose (fixation)', async () => {
    const browser = createBrowser();
    const planted = 'A'.repeat(43);
    browser.cookies.set(new URL(box.url).host, new Map([[SESSION, planted]]));
    await signOn(browser, ANN);
    expect(sessionOf(browser)).not.toBe(planted);
    const attacker = await ask(`${box.url}/admin/v1/me`, { headers: { cookie: `${SESSION}=${planted}` } });
    expect(attacker.status).toBe(401);
    // Two cookies of the name: one of them was planted by a neighbour.
    const twice = await ask(`${box.url}/admin/v1/me`, {
      headers: { cookie: `${SESSION}=${planted}; ${SESSION}=${sessionOf(browser)!}` },
    });
    expect(twice.status).toBe(401);
  });

  it('ends by signing off, here and where an administrator says so', async () => {
    const browser = createBrowser();
    await signOn(browser, ANN);
    const value = sessionOf(browser)!;
    const off = await post('/oidc/logout', browser, { origin: new URL(box.url).origin });
    expect(off.status).toBe(200);
    expect(JSON.parse(off.text)).toEqual({ provider_logout_url: expect.stringContaining(`${provider.issuer}/session/end`) });
    expect(sessionOf(browser)).toBeUndefined();
    expect((await ask(`${box.url}/admin/v1/me`, { headers: { cookie: `${SESSION}=${value}` } })).status).toBe(401);

    await signOn(browser, ANN);
    const { id: user } = JSON.parse((await me(browser)).text) as { id: string };
    const { data } = (await admin('GET', `/sessions?user=${user}`)) as { data: { id: string; agent: string }[] };
    for (const { id } of data) await admin('DELETE', `/sessions/${id}`);
    expect((await me(browser)).status).toBe(401);
    expect((await admin('GET', `/sessions?user=${user}`))['data']).toEqual([]);
  });

  it('of somebody else cannot be seen or ended', async () => {
    const [ann, dan] = [createBrowser(), createBrowser()];
    await signOn(ann, ANN);
    await signOn(dan, { sub: 'dan-1', name: 'Dan', email: 'dan@example.com', email_verified: true });
    const { data } = JSON.parse((await ann.open(`${box.url}/admin/v1/me/sessions`)).text) as {
      data: { id: string; current: boolean }[];
    };
    const target = data.find(({ current }) => current)!.id;
    const origin = new URL(box.url).origin;
    const end = (browser: Browser, id: string): Promise<Page> =>
      browser.open(`${box.url}/admin/v1/sessions/${id}`, { method: 'DELETE', headers: { origin } });
    const foreign = await end(dan, target);
    const unknown = await end(dan, 'ses_0000000000000000');
    expect([foreign.status, foreign.text]).toEqual([404, unknown.text]);
    expect((await dan.open(`${box.url}/admin/v1/sessions`)).status).toBe(403);
    expect((await end(ann, target)).status).toBe(200);
    expect((await me(ann)).status).toBe(401);
  });

  it('calls no models', async () => {
    const browser = createBrowser();
    await signOn(browser, ANN);
    const page = await browser.open(`${box.url}/v1/models`);
    expect(page.status).toBe(401);
  });
});
