import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Route, RoutePolicy } from './edge.ts';
import { createRouter, type Match, type Mismatch } from './router.ts';

const KEY: RoutePolicy = { access: 'key', body: 'json', errors: 'openai' };
const CONTROL: RoutePolicy = { access: 'control', body: 'raw', errors: 'plain' };

function route(method: Route['method'], path: string, policy: RoutePolicy = KEY): Route {
  return { method, path, policy, handle: () => undefined };
}

const router = createRouter([
  route('HEAD', '/'),
  route('POST', '/v1/chat/completions'),
  route('GET', '/v1/models'),
  route('GET', '/v1/models/{id}'),
  route('GET', '/health/live'),
  route('*', '/admin/*', CONTROL),
  route('*', '/v1/agents/{name}', CONTROL),
  route('POST', '/v1/agents/{name}', KEY),
  route('*', '/a2a/*', KEY),
  route('POST', '/a2a/{agent}/push/{push}', { ...KEY, access: 'public' }),
]);

function pathOf(outcome: Match | Mismatch): string {
  return 'error' in outcome ? outcome.error.code : `${outcome.route.method} ${outcome.route.path}`;
}

describe('matching', () => {
  it.each([
    ['POST', '/v1/chat/completions', 'POST /v1/chat/completions'],
    ['POST', '/v1/chat/completions?beta=true', 'POST /v1/chat/completions'],
    ['GET', '/v1/models', 'GET /v1/models'],
    ['HEAD', '/v1/models', 'GET /v1/models'],
    ['HEAD', '/v1/models/gpt-4o', 'GET /v1/models/{id}'],
    ['HEAD', '/', 'HEAD /'],
    ['GET', '/admin', '* /admin/*'],
    ['PATCH', '/admin/', '* /admin/*'],
    ['DELETE', '/admin/v1/keys/k_1', '* /admin/*'],
    ['HEAD', '/admin/v1/keys', '* /admin/*'],
    ['GET', '/admin/v1/keys/my%20key%2f1', '* /admin/*'],
    ['GET', '/v1/agents/research', '* /v1/agents/{name}'],
    ['POST', '/v1/agents/research', 'POST /v1/agents/{name}'],
    ['POST', '/a2a/x/push/y', 'POST /a2a/{agent}/push/{push}'],
    ['POST', '/a2a/x/push/y/z', '* /a2a/*'],
    ['POST', '/a2a/x/push', '* /a2a/*'],
    ['GET', '/a2a/x/push/y', 'method_not_allowed'],
    ['POST', '/a2a/x/push/%2e%2e', 'bad_target'],
    ['GET', '/', 'method_not_allowed'],
    ['GET', '/v1/chat/completions', 'method_not_allowed'],
    ['DELETE', '/v1/models/gpt-4o', 'method_not_allowed'],
    ['GET', '/v1/chat', 'not_found'],
    ['GET', '/v1/Models', 'not_found'],
    ['GET', '/administrator', 'not_found'],
    ['GET', '/nothing/here', 'not_found'],
  ])('%s %s → %s', (method, target, expected) => {
    expect(pathOf(router.match(method, target))).toBe(expected);
  });

  it('keeps the query apart and unread', () => {
    expect(router.match('GET', '/v1/models?a=%2e%2e;//\\')).toMatchObject({ path: '/v1/models', query: '?a=%2e%2e;//\\' });
    expect(router.match('GET', '/v1/models/x?y?z')).toMatchObject({ path: '/v1/models/x', query: '?y?z', params: { id: 'x' } });
    expect(router.match('GET', '/v1/models?')).toMatchObject({ query: '?' });
  });

  it('names the methods of a known path', () => {
    expect(router.match('PUT', '/v1/models')).toMatchObject({ allow: 'GET, HEAD', route: { path: '/v1/models' } });
    expect(router.match('PUT', '/v1/models/x')).toMatchObject({ allow: 'GET, HEAD' });
    expect(router.match('PUT', '/v1/chat/completions')).toMatchObject({ allow: 'POST' });
  });

  it.each([
    ['gpt-4o', 'gpt-4o'],
    ['meta-llama/Llama-3.1-8B', 'meta-llama/Llama-3.1-8B'],
    ['meta-llama%2FLlama-3.1-8B', 'meta-llama/Llama-3.1-8B'],
    ['llama3:8b', 'llama3:8b'],
    ['name%20with%20spaces', 'name with spaces'],
    ['caf%C3%A9', 'café'],
    // Once: what was encoded twice stays encoded once.
    ['a%252Fb', 'a%2Fb'],
    ['...', '...'],
  ])('parameter %s is %s', (raw, id) => {
    expect(router.match('GET', `/v1/models/${raw}`)).toMatchObject({ params: { id } });
  });
});

describe('bad targets', () => {
  it.each([
    '',
    '*',
    'http://127.0.0.1/v1/models',
    'example.com:443',
    '/v1/models/',
    '//v1/models',
    '/v1//models',
    '/v1/./models',
    '/v1/../admin',
    '/v1/%2e%2e/admin',
    '/v1%2fmodels',
    '/v1/chat/completions/',
    '/v1/models;x=1',
    '/v1\\models',
    '/v1/mod%65ls',
    '/v1/models#x',
    '/v1/models?x#y',
    '/v1/models/x#y',
    '/admin/../v1/models',
    '/admin/%2e%2e/v1/models',
    '/admin//v1',
    '/admin/v1/',
    '/admin/v1;x',
    '/admin/v1/a%2f%2e%2e%2fb',
    '/admin/v1/a%2f%2fb',
    '/admin/v1/a%00',
    '/admin/v1/a%5cb',
    '/admin/v1/%ff',
    '/v1/models/..',
    '/v1/models/a/../b',
    '/v1/models/a%2f..%2fb',
    '/v1/models/%2e%2e',
    '/v1/models/a//b',
    '/v1/models/a%2f%2fb',
    '/v1/models/%2fa',
    '/v1/models/a%2f',
    '/v1/models/a%00b',
    '/v1/models/a%0d%0ab',
    '/v1/models/a%5cb',
    '/v1/models/a;b',
    '/v1/models/%',
    '/v1/models/%zz',
    '/v1/models/%ff',
    '/v1/models/%c0%ae%c0%ae',
    '/caf\u00e9',
  ])('%s', (target) => {
    expect(pathOf(router.match('GET', target))).toBe('bad_target');
    expect(pathOf(router.match('POST', target))).toBe('bad_target');
  });

  it('says what is wrong', () => {
    const messageOf = (target: string) => (router.match('GET', target) as Mismatch).error.message;
    expect(messageOf('/v1/models/')).toContain('ends with a slash');
    expect(messageOf('/v1/../x')).toContain('dot segment');
    expect(messageOf('/v1//x')).toContain('empty segment');
    expect(messageOf('/v1/%41')).toContain('percent-encoding');
    expect(messageOf('http://x/')).toContain('forward proxy');
  });

  it('never throws, and whatever reaches a parameter route cannot climb', () => {
    const piece = fc.constantFrom(
      '/',
      '.',
      '..',
      '%2e',
      '%2F',
      '%5c',
      '\\',
      ';',
      '?',
      '#',
      'a',
      'models',
      'v1',
      'admin',
      '%',
      '%00',
      'é',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const outcome = router.match('GET', `/v1/models/${pieces.join('')}`);
        const id = 'error' in outcome ? 'refused' : (outcome.params.id ?? 'none');
        expect(id.split('/')).not.toContain('..');
        expect(id.split('/')).not.toContain('.');
        expect(id).not.toMatch(/\\|^\/|\/\//);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a table with a hole does not start', () => {
  const faulty: [string, Route[]][] = [
    ['no policy', [{ method: 'GET', path: '/v1/x', handle: () => undefined } as unknown as Route]],
    ['half a policy', [route('GET', '/v1/x', { access: 'key' } as RoutePolicy)]],
    ['an unknown access', [route('GET', '/v1/x', { ...KEY, access: 'nobody' as 'key' })]],
    ['a path outside the reserved prefixes', [route('GET', '/metricsx')]],
    ['two identical routes', [route('GET', '/v1/x'), route('GET', '/v1/x')]],
    ['two identical wildcards', [route('*', '/v1/x'), route('*', '/v1/x')]],
    ['two names for one parameter', [route('GET', '/v1/{a}'), route('POST', '/v1/{b}')]],
    ['a parameter and a prefix at one place', [route('GET', '/v1/{a}'), route('POST', '/v1/*')]],
    ['a parameter in the middle', [route('GET', '/v1/{a}/b')]],
    ['a path that could never match', [route('GET', '/v1/x/')]],
  ];
  it.each(faulty)('%s', (_name, routes) => {
    expect(() => createRouter(routes)).toThrow();
  });

  it('a specific method beside * is no duplicate, and * answers the others', () => {
    const both = createRouter([route('*', '/v1/x', CONTROL), route('GET', '/v1/x')]);
    expect(pathOf(both.match('GET', '/v1/x'))).toBe('GET /v1/x');
    expect(pathOf(both.match('HEAD', '/v1/x'))).toBe('GET /v1/x');
    expect(pathOf(both.match('DELETE', '/v1/x'))).toBe('* /v1/x');
  });
});
