/** Bad input on every route of the admin API, made from the schemas: always refused at its field, never a failure of ours, never a changed row. */
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as z from 'zod';

import type { AdminRoute } from '../../src/control/contract/route.ts';
import { ADMIN_ROUTES } from '../../src/control/routes/table.ts';
import { type Asked, type Reply, inParallel } from '../support/ask.ts';
import { type Tenants, startTenants } from '../support/tenants.ts';

let world: Tenants;
let before: string;

beforeAll(async () => {
  world = await startTenants();
  before = await everything();
});
afterAll(() => world.box.stop());

const GUARDED = ADMIN_ROUTES.filter(({ access }) => access.on !== 'public');
/** Of some things there is none here, and nothing is read for what does not exist. */
const WRITES = GUARDED.filter(
  ({ method, access, path }) => method !== 'GET' && (access.on !== 'object' || !path.includes('{session}')),
);
const WIDTH = 8;

interface Schema {
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  anyOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
}

function schemaOf(schema: z.ZodType): Schema {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Schema;
}

/** All that the installation holds, as root sees it. */
async function everything(): Promise<string> {
  const lists = GUARDED.filter(({ method, path }) => method === 'GET' && !path.includes('{') && 'data' in (shapeOf(path) ?? {}));
  const texts = await Promise.all(
    lists
      .filter(({ path }) => !/audit|requests|usage|end-users|\/me\//.test(path))
      .map(async ({ path }) => `${path} ${(await world.call('GET', path, world.root)).text}`),
  );
  expect(texts.length).toBeGreaterThan(4);
  return texts.join('\n');
}

function shapeOf(path: string): object | undefined {
  return schemaOf(ADMIN_ROUTES.find((route) => route.path === path && route.method === 'GET')!.answer.schema).properties;
}

function pathFor({ path }: AdminRoute): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => (world.a as unknown as Record<string, string>)[name] ?? 'nothing');
}

/** People's own routes are the member's; everything else is the admin's, who may do all. */
function send(route: AdminRoute, asked: Asked, path = pathFor(route)): Promise<Reply> {
  return world.call(route.method, path, route.access.on === 'people' ? world.a.member : world.root, asked);
}

/** Values of every other type, and some that have the type and are no less wrong. */
const SAMPLES: Record<string, readonly unknown[]> = {
  string: [''],
  number: [1.5],
  integer: [1.5],
  boolean: [true],
  array: [[]],
  object: [{}],
  null: [null],
};
const OTHERS: Record<string, unknown> = {
  string: 'nonsense',
  number: 5,
  boolean: true,
  array: [[]],
  object: { nonsense: 1 },
  null: null,
};

function typesOf(schema: Schema): string[] {
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap(typesOf);
  if (schema.enum !== undefined || schema.const !== undefined) return ['enum'];
  return schema.type === undefined ? Object.keys(SAMPLES) : [schema.type].flat();
}

interface Bad {
  path: (string | number)[];
  value: unknown;
}

/** Every place in a body, with what may not stand there. */
function badValues(schema: Schema, path: Bad['path'] = []): Bad[] {
  const types = typesOf(schema);
  const wrong = Object.entries(OTHERS)
    .filter(([type]) => !types.includes(type) && !(type === 'number' && types.includes('integer')))
    .map(([, value]) => ({ path, value }));
  const inner = schema.anyOf ?? [schema];
  const unkeepable = types.includes('string')
    ? ['\u0000', 'half \ud800', 'x'.repeat(200_000)].map((value) => ({ path, value }))
    : [];
  return [
    ...(path.length === 0 ? [] : [...wrong, ...unkeepable]),
    ...inner.flatMap(({ properties = {} }) =>
      Object.entries(properties).flatMap(([name, each]) => badValues(each, [...path, name])),
    ),
    ...inner.flatMap(({ items }) => (items === undefined ? [] : badValues(items, [...path, 0]))),
    ...(inner.some(({ properties }) => properties !== undefined)
      ? UNKNOWN.map((name) => ({ path: [...path, name], value: 1 }))
      : []),
  ];
}

const UNKNOWN = ['nonsense', '__proto__', 'constructor', "x'; DROP TABLE entities; --"];

/** JSON with one value at a place, in the least that stands around it. `__proto__` is a key like any other here. */
function bodyWith({ path, value }: Bad): string {
  return path.reduceRight<string>(
    (inner, step) => (typeof step === 'number' ? `[${inner}]` : `{${JSON.stringify(step)}:${inner}}`),
    JSON.stringify(value),
  );
}

test('a value that may not stand where it stands is refused there, on every route', async () => {
  const cases = WRITES.flatMap((route) => badValues(schemaOf(route.body!)).map((bad) => ({ route, bad })));
  const wrong = await inParallel(cases, WIDTH, async ({ route, bad }) => {
    const body = bodyWith(bad);
    const { status, text } = await send(route, { body, headers: { 'content-type': 'application/json' } });
    const [first = ''] = bad.path as string[];
    // Documents that the schema leaves open are judged as a whole.
    const isNamed = text.includes(first) || text.includes('"issues"') || text.includes('has a key that is not valid');
    return status === 400 && isNamed
      ? []
      : [`${route.method} ${route.path} ${body.slice(0, 120)}: ${status} ${text.slice(0, 200)}`];
  });
  expect(wrong.flat()).toEqual([]);
  expect(cases.length).toBeGreaterThan(1_000);
  expect(await everything()).toBe(before);
});

test('what is not a JSON object in a readable form is refused, on every route', async () => {
  const json = { 'content-type': 'application/json' };
  const deep = `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`;
  const bodies: [string, Asked, number][] = [
    ['a list', { body: '[]', headers: json }, 400],
    ['text', { body: '"x"', headers: json }, 400],
    ['a number', { body: '5', headers: json }, 400],
    ['null', { body: 'null', headers: json }, 400],
    ['half an object', { body: '{', headers: json }, 400],
    ['two objects', { body: '{}{}', headers: json }, 400],
    ['a byte order mark', { body: '\ufeff{}', headers: json }, 400],
    ['bytes that are no UTF-8', { body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), headers: json }, 400],
    ['nesting without end', { body: deep, headers: json }, 400],
    ['another content type', { body: '{}', headers: { 'content-type': 'text/plain' } }, 400],
    ['a form', { body: 'name=x', headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 400],
    ['a compressed body', { body: gzipSync('{}'), headers: { ...json, 'content-encoding': 'gzip' } }, 400],
    ['too much', { body: `{"name":"${'x'.repeat(1024 * 1024)}"}`, headers: json }, 413],
  ];
  const cases = WRITES.flatMap((route) => bodies.map(([what, asked, expected]) => ({ route, what, asked, expected })));
  const wrong = await inParallel(cases, WIDTH, async ({ route, what, asked, expected }) => {
    const { status, text } = await send(route, asked);
    return status === expected ? [] : [`${what}: ${route.method} ${route.path}: ${status} ${text.slice(0, 150)}`];
  });
  expect(wrong.flat()).toEqual([]);
  expect(await everything()).toBe(before);
});

const ODD = [
  "'",
  '"',
  '%',
  '_',
  '\\',
  '*',
  "' OR 1=1 --",
  '1; DROP TABLE entities',
  '${jndi:x}',
  '\u{1f600}',
  'null',
  '-1',
  '0',
  '1e9',
  '0x10',
  '99999999999999999999',
  '2026-13-45',
  'x'.repeat(2_000),
];

function oddQueries(name: string): string[] {
  const values = ODD.map((value) => `${name}=${encodeURIComponent(value)}`);
  return values.concat(`${name}=`, name, `${name}=1&${name}=1`, `${name}=%00`, `${name}=%ff`, `${name}[]=1`);
}

test('odd values in queries find nothing, or are refused', async () => {
  // A scraper may send parameters of its own with /metrics.
  const reads = GUARDED.filter(({ method, path }) => method === 'GET' && path !== '/metrics');
  const cases = reads.flatMap((route) => {
    const names = [...Object.keys(schemaOf(route.query).properties ?? {}), 'nonsense'];
    const odd = names.flatMap((name) => oddQueries(name));
    return odd.map((query) => ({ route, query }));
  });
  const wrong = await inParallel(cases, WIDTH, async ({ route, query }) => {
    const { status, text } = await send(route, {}, `${pathFor(route)}?${query}`);
    const isFine = [200, 400, 404].includes(status) && (!query.startsWith('nonsense') || status !== 200);
    return isFine ? [] : [`${route.path}?${query.slice(0, 100)}: ${status} ${text.slice(0, 150)}`];
  });
  expect(wrong.flat()).toEqual([]);
  for (const sign of ['%', '_', '\\', "'"]) {
    for (const path of ['/orgs', '/teams', '/users', '/service-accounts', '/keys']) {
      const { text } = await world.call('GET', `/admin/v1${path}?search=${encodeURIComponent(sign)}`, world.root);
      expect({ path, sign, found: (JSON.parse(text) as { data: { name: string }[] }).data.map(({ name }) => name) }).toEqual({
        path,
        sign,
        found: [],
      });
    }
  }
});

test('odd ids in paths are ids of nothing', async () => {
  const withParams = GUARDED.filter(({ path }) => path.includes('{'));
  const odd = ODD.filter((value) => !/[\\]/.test(value));
  const cases = withParams.flatMap((route) => odd.map((value) => ({ route, value })));
  const wrong = await inParallel(cases, WIDTH, async ({ route, value }) => {
    const path = route.path.replace(/\{\w+\}/g, () => encodeURIComponent(value));
    const { status, text } = await send(route, route.method === 'GET' ? {} : { body: { nonsense: 1 } }, path);
    return [400, 404].includes(status) ? [] : [`${route.method} ${path.slice(0, 100)}: ${status} ${text.slice(0, 150)}`];
  });
  expect(wrong.flat()).toEqual([]);
  expect(await everything()).toBe(before);
});

test('what looks like a statement is kept and found as the text that it is', async () => {
  const { make, call, root } = world;
  const name = `Robert'); DROP TABLE entities;-- %_\\"ü`;
  const { id = '' } = await make('POST', '/orgs', { name, metadata: { "a'b": '%' } });
  const { text } = await call('GET', `/admin/v1/orgs?search=${encodeURIComponent('%_\\"Ü')}`, root);
  expect((JSON.parse(text) as { data: { id: string; name: string; metadata: object }[] }).data).toEqual([
    expect.objectContaining({ id, name, metadata: { "a'b": '%' } }),
  ]);
  await make('DELETE', `/orgs/${id}`);
  expect(await everything()).toBe(before);
});
