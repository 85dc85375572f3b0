/**
 * Where requests may go: addresses from outside against canaries on loopback, proxies, authorities and certificates, Unix sockets.
 */
import type { LookupAddress } from 'node:dns';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { Lookup } from '../../src/upstream/connect.ts';
import { createEgress, type Egress, type EgressRules } from '../../src/upstream/egress.ts';
import { guardGlobals } from '../../src/upstream/guard.ts';
import { createSend } from '../../src/upstream/send.ts';
import type { DeliveryFailure, Trust, UpstreamAnswer } from '../../src/upstream/types.ts';
import { createWheel } from '../../src/upstream/wheel.ts';
import { startConnectProxy } from '../support/connect-proxy.ts';
import { type FaultOptions, type FaultUpstream, startFaultUpstream, whole } from '../support/fault-upstream.ts';

const TIMEOUTS = { connectMs: 1_000, firstByteMs: 2_000, idleMs: 2_000, totalMs: 2_000 };
const file = (name: string): string => readFileSync(new URL(`../fixtures/egress/${name}`, import.meta.url), 'utf8');
const CA = file('ca.pem');
const SERVER = { cert: file('server.pem'), key: file('server.key') };
const CLIENT = { cert: file('client.pem'), key: file('client.key') };

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Names no resolver knows, and how often each was asked for. */
function lookupOf(names: Record<string, string[] | string[][]>): Lookup & { asked: string[] } {
  const asked: string[] = [];
  const lookup: Lookup = (hostname, options, callback) => {
    const times = asked.filter((each) => each === hostname).length;
    asked.push(hostname);
    const known = names[hostname];
    const answers = (Array.isArray(known?.[0]) ? (known[times] ?? known.at(-1)) : known) as string[] | undefined;
    if (answers === undefined) return callback(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }), []);
    const found = answers.map((address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 }));
    if (options.all === true) callback(null, found);
    else callback(null, found[0]!.address, found[0]!.family);
  };
  return Object.assign(lookup, { asked });
}

function egressOf(rules: Partial<EgressRules> = {}, lookup?: Lookup): Egress {
  const egress = createEgress(
    { allowPrivate: [], clientCertificates: [], ...rules },
    {
      wheel: createWheel({ turnMs: 50, now: () => performance.now() }),
      userAgent: 'signalbox/test',
      ...(lookup === undefined ? {} : { lookup }),
    },
  );
  open.push(() => egress.close());
  return egress;
}

function ask(
  egress: Egress,
  baseUrl: string,
  trust: Trust = 'operator',
  socketPath?: string,
): Promise<UpstreamAnswer | DeliveryFailure> {
  const endpoint = { baseUrl, headers: {}, weight: 1, ...(socketPath === undefined ? {} : { socketPath }) };
  return createSend(egress)({
    endpoint,
    trust,
    method: 'GET',
    path: '/',
    headers: {},
    body: undefined,
    timeouts: TIMEOUTS,
    stream: false,
  }).answer;
}

async function outcome(answer: Promise<UpstreamAnswer | DeliveryFailure>): Promise<string> {
  const result = await answer;
  if (result.failed) return result.error.code;
  await new Promise<void>((resolve) => result.body.consume({ data: () => true, end: resolve, fail: () => resolve() }));
  return String(result.status);
}

async function start(options: FaultOptions = {}): Promise<FaultUpstream> {
  const server = await startFaultUpstream(() => [{ send: whole(200, '{}') }], options);
  open.push(() => server.close());
  return server;
}

test('an endpoint that came over the API is checked at every connection, without being told so; one of the file is not', async () => {
  const server = await start();
  const names = { 'public.test': ['93.184.216.34'], 'turned.test': ['127.0.0.1'] };
  const request = { method: 'GET', path: '/', headers: {}, body: undefined, timeouts: TIMEOUTS, stream: false } as const;
  const send = createSend(egressOf({}, lookupOf(names)));
  const endpoint = { baseUrl: `http://turned.test:${server.port}`, headers: { authorization: 'Bearer secret' }, weight: 1 };
  for (let call = 0; call < 3; call++) {
    expect(await outcome(send({ ...request, endpoint: { ...endpoint, outside: true } }).answer)).toBe('egress_refused');
  }
  expect(server.accepted).toBe(0);
  expect(await outcome(send({ ...request, endpoint }).answer)).toBe('200');
  // A socket that was opened for the one is never the other's.
  expect(await outcome(send({ ...request, endpoint: { ...endpoint, outside: true } }).answer)).toBe('egress_refused');
  const covered = createSend(egressOf({ allowPrivate: ['127.0.0.0/8'] }, lookupOf(names)));
  expect(await outcome(covered({ ...request, endpoint: { ...endpoint, outside: true } }).answer)).toBe('200');
});

describe('an address from outside', () => {
  let canary: FaultUpstream;
  let canary6: FaultUpstream;
  beforeEach(async () => {
    canary = await start();
    canary6 = await start({ host: '::1', port: canary.port });
  });

  // facts: WHATWG normal forms of loopback, metadata and other inner addresses, and what only looks outer.
  const HOSTS = [
    '127.0.0.1',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '017700000001',
    '127.1',
    '127.0.1',
    '0x7f.1',
    '%31%32%37.0.0.1',
    '①②⑦.⓪.⓪.①',
    '127。0。0。1',
    '0',
    '0.0.0.0',
    'localhost',
    'ⓛocalhost',
    'LOCALHOST.',
    'foo.localhost',
    '0xA9FEA9FE',
    '2852039166',
    '0251.0376.0251.0376',
    '169.254.169.254.',
    '[::ffff:169.254.169.254]',
    '[::ffff:a9fe:a9fe]',

    '[::]',
    '[::1]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
    '[::7f00:1]',
    '[::ffff:0:127.0.0.1]',
    '[64:ff9b::a9fe:a9fe]',
    '[64:ff9b:1::a9fe:a9fe]',
    '[2002:a9fe:a9fe::]',

    '[2001::1]',
    '[fec0::1]',
    '[fe80::1]',
    '[fd00:ec2::254]',
    '[fc00::1]',
    '[ff02::1]',
    '[100::1]',
    '[5f00::1]',
    '[3fff::1]',
    '[2001:db8::1]',

    '10.0.0.1',
    '172.16.0.1',
    '192.168.0.1',
    '100.64.0.1',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    '198.18.0.1',
    '192.88.99.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    'metadata.internal',
    '127.0.0.1.nip.test',
    'mixed.test',
    'mixed6.test',
    'empty.test',
    'mapped.test',
  ];
  const names = lookupOf({
    localhost: ['::1', '127.0.0.1'],
    'localhost.': ['127.0.0.1'],
    'foo.localhost': ['127.0.0.1'],
    'metadata.internal': ['169.254.169.254'],
    '127.0.0.1.nip.test': ['127.0.0.1'],
    'mixed.test': ['8.8.8.8', '127.0.0.1'],
    'mixed6.test': ['2606:4700::1', '::1'],
    'mapped.test': ['::ffff:127.0.0.1'],
    'empty.test': [],
  });

  test.each(HOSTS)('http://%s is refused before any connection', async (host) => {
    for (const scheme of ['http', 'https']) {
      expect(await outcome(ask(egressOf({}, names), `${scheme}://${host}:${canary.port}/v1`, 'outside'))).toBe('egress_refused');
    }
    expect([canary.accepted, canary6.accepted]).toEqual([0, 0]);
  });

  test.each([
    'http:127.0.0.1',
    'http:/127.0.0.1',
    'http:\\\\127.0.0.1',
    'ht\ntp://127.0.0.1',
    'http://user@127.0.0.1',
    'http://127.0.0.1\\@evil.test',
    'http://evil.test\\@127.0.0.1',

    'http://8.8.8.8@127.0.0.1',
    'http://user:pass@8.8.8.8',
    'http://127.0.0.1#@evil.test',
    'http://127.0.0.1%2f@evil.test',
    'http://12\t7.0.0.\n1',
    'http://127.0.0.1../',

    'file:///etc/passwd',
    'data:text/plain,x',
    'gopher://127.0.0.1',
    'ftp://127.0.0.1',
    'unix:/run/x.sock',
    'ws://127.0.0.1',
    'http+unix://x',
    'jar:http://127.0.0.1!/',
    'javascript:1',

    'http://127.0.0.1:99999',
    'http://127.0.0.1:80:80',
    'http://[fe80::1%25eth0]/',
    'http://a%00b/',
    '//127.0.0.1',
    '',
    'http://',
    'http://[::1',
    `http://${'a'.repeat(254)}.test`,
  ])('%j is refused', async (url) => {
    expect(['egress_refused', 'upstream_unreachable']).toContain(
      await outcome(ask(egressOf({}, lookupOf({ 'evil.test': ['127.0.0.1'] })), url, 'outside')),
    );
    expect([canary.accepted, canary6.accepted]).toEqual([0, 0]);
  });

  test('a refusal tells nothing of what was refused, and not one byte has gone out', async () => {
    const literal = await ask(egressOf({}, names), `http://127.0.0.1:${canary.port}`, 'outside');
    const named = await ask(egressOf({}, names), 'http://metadata.internal', 'outside');
    for (const result of [literal, named]) {
      expect(result).toMatchObject({
        failed: true,
        undelivered: true,
        error: { code: 'egress_refused', message: 'The egress policy refused the upstream address' },
      });
    }
  });

  test('what the operator allows is reached, by literal and by name', async () => {
    const egress = egressOf({ allowPrivate: ['127.0.0.0/8'] }, lookupOf({ 'inner.test': ['127.0.0.1'], 'other.test': ['::1'] }));
    expect(await outcome(ask(egress, canary.url, 'outside'))).toBe('200');
    expect(await outcome(ask(egress, `http://inner.test:${canary.port}`, 'outside'))).toBe('200');
    expect(await outcome(ask(egress, `http://other.test:${canary.port}`, 'outside'))).toBe('egress_refused');
    expect(await outcome(ask(egress, canary6.url, 'outside'))).toBe('egress_refused');
    expect(canary6.accepted).toBe(0);
  });

  test('is connected to as it was checked: a name that turns inward is asked once per connection', async () => {
    const turning = lookupOf({ 'rebind.test': [['192.0.2.1'], ['127.0.0.1']] });
    const egress = egressOf({ allowPrivate: ['192.0.2.0/24'] }, turning);
    const [first, second] = [
      ask(egress, `http://rebind.test:${canary.port}`, 'outside'),
      ask(egress, `http://rebind.test:${canary.port}`, 'outside'),
    ];
    expect(await outcome(second)).toBe('egress_refused');
    expect(await outcome(first)).toBe('upstream_unreachable');
    expect(turning.asked).toEqual(['rebind.test', 'rebind.test']);
    expect(canary.accepted).toBe(0);
  });

  test('never rides on a connection that was opened for the operator', async () => {
    const egress = egressOf();
    expect(await outcome(ask(egress, canary.url))).toBe('200');
    expect(await outcome(ask(egress, canary.url))).toBe('200');
    expect(canary.accepted).toBe(1);
    expect(await outcome(ask(egress, canary.url, 'outside'))).toBe('egress_refused');
    const allowing = egressOf({ allowPrivate: ['127.0.0.1/32'] });
    expect(await outcome(ask(allowing, canary.url))).toBe('200');
    expect(await outcome(ask(allowing, canary.url, 'outside'))).toBe('200');
    expect(canary.accepted).toBe(3);
  });

  test('is not a Unix socket', async () => {
    expect(await outcome(ask(egressOf({ allowPrivate: ['0.0.0.0/0', '::/0'] }), 'http://x', 'outside', '/tmp/any.sock'))).toBe(
      'egress_refused',
    );
  });
});

describe('the operator’s addresses', () => {
  test('are used as given, loopback included, by either family', async () => {
    const [four, six] = [await start(), await start({ host: '::1' })];
    const egress = egressOf();
    expect(await outcome(ask(egress, four.url))).toBe('200');
    expect(await outcome(ask(egress, six.url))).toBe('200');
  });

  test('of which the first does not answer go on to the next', async () => {
    const server = await start();
    const egress = egressOf({}, lookupOf({ 'two.test': ['127.0.0.9', '127.0.0.1'] }));
    expect(await outcome(ask(egress, `http://two.test:${server.port}`))).toBe('200');
  });

  test('may be a Unix socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'signalbox-'));
    open.push(() => rmSync(folder, { recursive: true }));
    const socketPath = join(folder, 'control.sock');
    const server = await start({ socketPath });
    const egress = egressOf({ proxy: { url: 'http://127.0.0.1:1', noProxy: [] } });
    expect(await outcome(ask(egress, 'http://control', 'operator', socketPath))).toBe('200');
    expect(server.requests[0]!.headers.host).toBe('control');
    expect(await outcome(ask(egress, 'http://control', 'operator', join(folder, 'none.sock')))).toBe('upstream_unreachable');
  });

  test('carry no credentials of their own', async () => {
    expect(await outcome(ask(egressOf(), 'http://user:pass@127.0.0.1:1'))).toBe('egress_refused');
  });
});

describe('a proxy', () => {
  const proxied = async (
    hosts: Record<string, number>,
    rules: Partial<EgressRules> & { noProxy?: string[]; refuse?: number; names?: Record<string, string[]> } = {},
  ) => {
    const { noProxy = [], refuse, names = {}, ...rest } = rules;
    const proxy = await startConnectProxy(hosts, refuse);
    open.push(() => proxy.close());
    const url = proxy.url.replace('//', '//us%40er:pass@');
    return { proxy, egress: egressOf({ proxy: { url, noProxy }, ...rest }, lookupOf(names)) };
  };

  test('carries http and https origins through CONNECT, with its credentials and without resolving their names', async () => {
    const [plain, secure] = [await start(), await start({ tls: SERVER })];
    const { proxy, egress } = await proxied({ 'plain.test:80': plain.port, 'upstream.test:443': secure.port }, { ca: CA });
    expect(await outcome(ask(egress, 'http://plain.test/v1'))).toBe('200');
    expect(await outcome(ask(egress, 'https://upstream.test/v1'))).toBe('200');
    const authorization = `Basic ${Buffer.from('us@er:pass').toString('base64')}`;
    expect(proxy.asked).toEqual([
      { authority: 'plain.test:80', authorization },
      { authority: 'upstream.test:443', authorization },
    ]);
    expect(plain.requests[0]!.headers).not.toHaveProperty('proxy-authorization');
    expect(plain.requests[0]!.path).toBe('/v1/');
  });

  test('is passed by for no_proxy and for loopback', async () => {
    const server = await start();
    const { proxy, egress } = await proxied({}, { noProxy: ['inner.test'], names: { 'a.inner.test': ['127.0.0.1'] } });
    expect(await outcome(ask(egress, `http://a.inner.test:${server.port}`))).toBe('200');
    expect(await outcome(ask(egress, server.url))).toBe('200');
    expect(proxy.asked).toEqual([]);
  });

  test('that refuses, or is not there, is a connection that delivered nothing', async () => {
    const { egress } = await proxied({}, { refuse: 407 });
    expect(await ask(egress, 'http://plain.test')).toMatchObject({
      failed: true,
      undelivered: true,
      error: { code: 'upstream_unreachable' },
    });
    const nowhere = egressOf({ proxy: { url: 'http://127.0.0.1:1', noProxy: [] } });
    expect(await ask(nowhere, 'http://plain.test')).toMatchObject({
      failed: true,
      undelivered: true,
      error: { code: 'upstream_unreachable' },
    });
  });

  test('does not resolve for an address from outside: that is checked here, and asked for as checked', async () => {
    const server = await start();
    const names = { 'public.test': ['192.0.2.7'], 'inner.test': ['127.0.0.1'] };
    const { proxy, egress } = await proxied(
      { '192.0.2.7:80': server.port, 'inner.test:80': server.port },
      { allowPrivate: ['192.0.2.0/24'], names },
    );
    expect(await outcome(ask(egress, 'http://public.test', 'outside'))).toBe('200');
    expect(server.requests[0]!.headers.host).toBe('public.test');
    expect(await outcome(ask(egress, 'http://inner.test', 'outside'))).toBe('egress_refused');
    expect(await outcome(ask(egress, 'http://10.0.0.1', 'outside'))).toBe('egress_refused');
    expect(proxy.asked.map((each) => each.authority)).toEqual(['192.0.2.7:80']);
  });

  test('named by the environment alone is not used', async () => {
    const server = await start();
    const proxy = await startConnectProxy({});
    open.push(() => proxy.close());
    const variables = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'ALL_PROXY', 'NODE_USE_ENV_PROXY'];
    const before = variables.map((name) => process.env[name]);
    for (const name of variables) process.env[name] = name === 'NODE_USE_ENV_PROXY' ? '1' : proxy.url;
    try {
      expect(
        await outcome(ask(egressOf({}, lookupOf({ 'plain.test': ['127.0.0.1'] })), `http://plain.test:${server.port}`)),
      ).toBe('200');
    } finally {
      for (const [index, name] of variables.entries()) {
        if (before[index] === undefined) delete process.env[name];
        else process.env[name] = before[index];
      }
    }
    expect(proxy.asked).toEqual([]);
  });
});

describe('TLS', () => {
  const names = lookupOf({ 'upstream.test': ['127.0.0.1'], 'other.test': ['127.0.0.1'] });

  test('trusts the operator’s authority beside the system’s, by name and by address', async () => {
    const server = await start({ tls: SERVER });
    const egress = egressOf({ ca: CA }, names);
    expect(await outcome(ask(egress, `https://upstream.test:${server.port}`))).toBe('200');
    expect(await outcome(ask(egress, server.url))).toBe('200');
  });

  test('refuses unknown authorities and wrong names, with nothing delivered', async () => {
    const server = await start({ tls: SERVER });
    const unknown = await ask(egressOf({}, names), `https://upstream.test:${server.port}`);
    expect(unknown).toMatchObject({ failed: true, undelivered: true, error: { code: 'upstream_unreachable' } });
    const wrong = await ask(egressOf({ ca: CA }, names), `https://other.test:${server.port}`);
    expect(wrong).toMatchObject({ failed: true, undelivered: true, error: { code: 'upstream_unreachable' } });
    expect(wrong.failed && wrong.error.message).toContain('another name');
    expect(server.requests).toEqual([]);
  });

  test('shows the client certificate to its origin alone', async () => {
    const tls = { ...SERVER, ca: CA, requestCert: true, rejectUnauthorized: false };
    const [mine, other] = [await start({ tls }), await start({ tls })];
    const egress = egressOf({ ca: CA, clientCertificates: [{ origin: mine.url, ...CLIENT }] }, names);
    expect(await outcome(ask(egress, `${mine.url}/v1`))).toBe('200');
    expect(await outcome(ask(egress, other.url))).toBe('200');
    expect(mine.requests[0]!.clientName).toBe('client');
    expect(other.requests[0]!.clientName).toBeUndefined();
  });
});

describe('pools', () => {
  test('are bounded in number: the longest unused one makes room', async () => {
    const server = await start();
    const egress = egressOf();
    const routes = Array.from({ length: 513 }, (_, n) => egress.route(`http://127.0.1.${n % 250}:${1_000 + n}`, 'operator'));
    expect(routes.filter((route) => route.pool.closed)).toHaveLength(1);
    expect(await outcome(ask(egress, server.url))).toBe('200');
  });

  test('closed egress takes nothing new and lets what runs end', async () => {
    const server = await startFaultUpstream(() => [{ waitMs: 100 }, { send: whole(200, '{}') }]);
    open.push(() => server.close());
    const egress = egressOf();
    const running = outcome(ask(egress, server.url));
    egress.close();
    expect(await outcome(ask(egress, server.url))).toBe('draining');
    expect(await running).toBe('200');
    await expect.poll(() => server.open()).toBe(0);
  });
});

test('the global ways out throw', () => {
  const scope: Record<string, unknown> = { fetch: () => 1 };
  guardGlobals(scope);
  for (const name of ['fetch', 'WebSocket', 'EventSource']) {
    expect(() => (scope[name] as () => void)()).toThrow('egress.ts');
    expect(() => new (scope[name] as new () => unknown)()).toThrow('egress.ts');
    expect(() => {
      scope[name] = () => 1;
    }).toThrow();
  }
});
