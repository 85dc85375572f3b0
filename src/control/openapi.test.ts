import { expect, test } from 'vitest';

import { createRouteTable } from './contract/table.ts';
import { openApiDocument } from './openapi.ts';
import { ADMIN_ROUTES } from './routes/table.ts';

interface Operation {
  operationId: string;
  summary: string;
  tags: string[];
  parameters: { name: string; in: string; required: boolean; schema: object }[];
  requestBody?: { content: Record<string, { schema: object }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>;
}

const document = JSON.parse(JSON.stringify(await openApiDocument(ADMIN_ROUTES, '1.2.3'))) as {
  openapi: string;
  info: { version: string };
  tags: { name: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
};
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

test('every route is in it, and nothing else', () => {
  const routes = createRouteTable(ADMIN_ROUTES).routes.map(({ method, path }) => `${method} ${path}`);
  expect(operations.map(({ method, path }) => `${method.toUpperCase()} ${path}`).sort()).toEqual(routes.sort());
  expect(document.openapi).toBe('3.1.0');
  expect(document.info.version).toBe('1.2.3');
});

test('operations have ids of their own, and every tag and reference is declared', () => {
  const ids = operations.map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.every((id) => /^[a-z][a-z0-9_]*$/.test(id))).toBe(true);
  const tags = new Set(document.tags.map(({ name }) => name));
  expect(operations.filter(({ operation }) => !operation.tags.every((tag) => tags.has(tag)))).toEqual([]);
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, target]) => target!);
  expect(references.length).toBeGreaterThan(0);
  for (const reference of references) expect(at(reference)).toBeDefined();
});

function at(reference: string): unknown {
  const steps = reference.replace('#/', '').split('/');
  return steps.reduce<unknown>((value, step) => (value as Record<string, unknown> | undefined)?.[step], document);
}

test('parameters are those of the path, each once; bodies and answers have schemas; what fails is described', () => {
  for (const { path, method, operation } of operations) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const declared = operation.parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name);
    expect(declared, path).toEqual(inPath);
    const names = operation.parameters.map((parameter) => `${parameter.in} ${parameter.name}`);
    expect(new Set(names).size, path).toBe(names.length);
    expect(
      operation.parameters.every(({ schema, required }) => typeof schema === 'object' && typeof required === 'boolean'),
    ).toBe(true);
    expect(operation.requestBody === undefined, `${method} ${path}`).toBe(method === 'get');
    const success = Object.entries(operation.responses).filter(([status]) => status.startsWith('2') || status.startsWith('3'));
    expect(success, path).toHaveLength(1);
    for (const { description } of Object.values(operation.responses)) expect(description).not.toBe('');
    expect(operation.summary, path).toMatch(/^[A-Z].*[^.]$/);
  }
});

test('schemas are JSON Schema 2020-12 without leftovers of the library', () => {
  const text = JSON.stringify(document);
  for (const leftover of ['$schema', '~standard', '"def":', '__proto__']) expect(text).not.toContain(leftover);
  walk(document.paths);
});

const TYPES = ['string', 'number', 'integer', 'boolean', 'array', 'object', 'null'];

/** `type` is a type or a list of them, `properties` are schemas, `required` names properties, patterns compile. */
function walk(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  const { type, required, properties, pattern } = value as Record<string, unknown>;
  if (typeof type === 'string') expect(TYPES).toContain(type);
  if (Array.isArray(required) && typeof properties === 'object' && properties !== null) {
    expect(required.filter((name: string) => !Object.hasOwn(properties, name))).toEqual([]);
  }
  if (typeof pattern === 'string') expect(() => new RegExp(pattern, 'u')).not.toThrow();
  for (const inner of Object.values(value)) walk(inner);
}
