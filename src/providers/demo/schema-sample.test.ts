import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromJSONSchema } from 'zod';

import { sampleOf } from './schema-sample.ts';

type Schema = Record<string, unknown>;

const string = fc.oneof(
  fc.constant<Schema>({ type: 'string' }),
  fc.record({ type: fc.constant('string'), minLength: fc.nat({ max: 20 }), maxLength: fc.integer({ min: 20, max: 30 }) }),
  fc.constantFrom('date', 'date-time', 'email', 'uri', 'uuid', 'ipv4').map((format): Schema => ({ type: 'string', format })),
  fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 4 }).map((words): Schema => ({ type: 'string', enum: words })),
);
const number = fc.oneof(
  fc.constantFrom<Schema>({ type: 'integer' }, { type: 'number' }, { type: 'boolean' }, { type: 'null' }),
  fc
    .tuple(fc.constantFrom('integer', 'number'), fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: 2, max: 50 }))
    .map(([type, minimum, width]): Schema => ({ type, minimum, maximum: minimum + width })),
  fc
    .tuple(fc.constantFrom('integer', 'number'), fc.integer({ min: -1000, max: 1000 }))
    .map(([type, exclusiveMinimum]): Schema => ({ type, exclusiveMinimum })),
  fc.integer({ min: -1000, max: 1000 }).map((exclusiveMaximum): Schema => ({ type: 'number', exclusiveMaximum })),
  fc.constantFrom(2, 5, 10).map((multipleOf): Schema => ({ type: 'integer', multipleOf, minimum: 3 })),
);

const { schema } = fc.letrec<{ schema: Schema }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 4 },
    string,
    number,
    fc.record({
      type: fc.constant('array'),
      items: tie('schema'),
      minItems: fc.nat({ max: 3 }),
      maxItems: fc.integer({ min: 3, max: 5 }),
    }),
    fc.record({ anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }) }),
    fc
      .tuple(fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), tie('schema'), { maxKeys: 4 }), fc.boolean())
      .map(([properties, strict]): Schema => {
        const required = Object.keys(properties).filter((_name, index) => strict || index % 2 === 0);
        return { type: 'object', properties, required, additionalProperties: false };
      }),
  ),
}));

describe('sampleOf', () => {
  it('satisfies any schema of the kinds it knows', () => {
    fc.assert(
      fc.property(schema, (given) => {
        const result = fromJSONSchema(given).safeParse(sampleOf(given, 'field'));
        expect(result.error?.message ?? '', JSON.stringify(given)).toBe('');
      }),
      { numRuns: 500 },
    );
  });

  it('follows references and merges allOf', () => {
    const given = {
      $defs: {
        Name: { type: 'string', enum: ['Ada'] },
        Base: { type: 'object', properties: { id: { type: 'integer' } }, required: ['id'] },
      },
      allOf: [{ $ref: '#/$defs/Base' }, { type: 'object', properties: { name: { $ref: '#/$defs/Name' } }, required: ['name'] }],
    };
    expect(sampleOf(given, 'x')).toEqual({ id: 1, name: 'Ada' });
  });

  it('ends where a schema contains itself, required or not', () => {
    const node = { type: 'object', properties: { next: { $ref: '#' } } };
    expect(() => JSON.stringify(sampleOf(node, 'x'))).not.toThrow();
    expect(() => JSON.stringify(sampleOf({ ...node, required: ['next'] }, 'x'))).not.toThrow();
    expect(sampleOf({ $ref: '#' }, 'x')).toBe('x');
  });

  it.each<[string, unknown, unknown]>([
    ['nothing', undefined, {}],
    ['an empty schema', {}, 'x'],
    ['an object of unknown content', { type: 'object' }, {}],
    ['a required name nobody described', { type: 'object', required: ['q'] }, { q: 'q' }],
    ['strings named after their property', { type: 'object', properties: { city: { type: 'string' } } }, { city: 'city' }],
    ['a nullable type', { type: ['string', 'null'] }, 'x'],
    ['a constant', { const: 7 }, 7],
    ['a default', { type: 'integer', default: 3 }, 3],
    ['bounds narrower than a step', { type: 'number', minimum: 0.1, maximum: 0.2 }, expect.closeTo(0.15)],
    ['an unknown type', { type: 'toString' }, null],
  ])('%s', (_name, given, expected) => {
    expect(sampleOf(given, 'x')).toEqual(expected);
  });
});
