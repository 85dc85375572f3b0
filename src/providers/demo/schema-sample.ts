/**
 * A value that satisfies a JSON Schema: what the demo puts into tool arguments and structured outputs.
 *
 * It knows types, enum, const, default, examples, required and optional properties, items, numeric, length and item bounds, the common
 * formats, allOf, the first branch of anyOf and oneOf, and local `$ref`s. It does not satisfy `pattern`, `not` and conditions.
 */
import { type Json, isObject } from '../../core/read.ts';

/** Optional properties stop here, and with them schemas that contain themselves. */
const OPTIONAL_DEPTH = 4;
/** A schema whose required properties contain it has no finite value; null ends it. */
const MAX_DEPTH = 16;

interface Place {
  root: Json;
  /** The property that the value is for: strings repeat it, so that an answer explains itself. */
  name: string;
  depth: number;
}

/** @param name stands in strings that have no better content. */
export function sampleOf(schema: unknown, name: string): unknown {
  return isObject(schema) ? sample(schema, { root: schema, name, depth: 0 }) : {};
}

function sample(given: Json, place: Place): unknown {
  if (place.depth > MAX_DEPTH) return null;
  const schema = resolved(given, place);
  for (const listed of [schema.enum, schema.examples]) {
    if (Array.isArray(listed) && listed.length > 0) return listed[0];
  }
  if ('const' in schema) return schema.const;
  if ('default' in schema) return schema.default;
  const type = typeOf(schema);
  return Object.hasOwn(SAMPLES, type) ? SAMPLES[type as keyof typeof SAMPLES](schema, place) : null;
}

/** The schema with its reference followed, its first alternative chosen, and all parts of allOf merged. */
function resolved(given: Json, place: Place): Json {
  let schema = given;
  for (let hops = 0; hops < MAX_DEPTH; hops += 1) {
    const { $ref, anyOf, oneOf, allOf, ...rest } = schema;
    const alternatives = [anyOf, oneOf].map((list) => (Array.isArray(list) ? list.find(isObject) : undefined));
    const parts = [followed($ref, place.root), ...alternatives, ...(Array.isArray(allOf) ? allOf : [])].filter(isObject);
    if (parts.length === 0) return schema;
    schema = parts.reduce(merged, rest);
  }
  return {};
}

function merged(one: Json, other: Json): Json {
  const properties = { ...(isObject(one.properties) && one.properties), ...(isObject(other.properties) && other.properties) };
  const required = [one.required, other.required].flatMap((list) => (Array.isArray(list) ? list : []));
  return {
    ...one,
    ...other,
    ...(Object.keys(properties).length > 0 && { properties }),
    ...(required.length > 0 && { required }),
  };
}

/** `#`, `#/$defs/name`, `#/definitions/a~1b`. */
function followed($ref: unknown, root: Json): unknown {
  if (typeof $ref !== 'string' || !$ref.startsWith('#')) return undefined;
  const steps = $ref.split('/').slice(1);
  return steps.reduce<unknown>((at, step) => {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
    return isObject(at) && Object.hasOwn(at, key) ? at[key] : undefined;
  }, root);
}

function typeOf(schema: Json): string {
  const type = Array.isArray(schema.type) ? (schema.type as unknown[]).find((each) => each !== 'null') : schema.type;
  if (typeof type === 'string') return type;
  if (Array.isArray(schema.type)) return 'null';
  if (isObject(schema.items)) return 'array';
  return 'properties' in schema || 'required' in schema ? 'object' : 'string';
}

const SAMPLES = {
  object: sampleObject,
  array: sampleArray,
  string: sampleString,
  integer: (schema: Json): number => sampleNumber(schema, 1),
  number: (schema: Json): number => sampleNumber(schema, 0.5),
  boolean: (): boolean => true,
  null: (): null => null,
};

function sampleObject(schema: Json, { root, depth }: Place): Json {
  const properties = isObject(schema.properties) ? schema.properties : {};
  const required = new Set(Array.isArray(schema.required) ? (schema.required as unknown[]) : []);
  const wanted = Object.keys(properties).filter((name) => required.has(name) || depth < OPTIONAL_DEPTH);
  const undescribed = [...required].filter(
    (name): name is string => typeof name === 'string' && !Object.hasOwn(properties, name),
  );
  const entries = [...wanted, ...undescribed].map((name) => {
    const property = properties[name];
    return [name, isObject(property) ? sample(property, { root, name, depth: depth + 1 }) : name];
  });
  return Object.fromEntries(entries) as Json;
}

function sampleArray(schema: Json, { root, name, depth }: Place): unknown[] {
  const least = numberAt(schema, 'minItems') ?? 0;
  const most = numberAt(schema, 'maxItems') ?? Number.POSITIVE_INFINITY;
  const length = Math.min(Math.max(least, depth < OPTIONAL_DEPTH ? 1 : 0), most, 100);
  const item = isObject(schema.items) ? schema.items : { type: 'string' };
  return Array.from({ length }, () => sample(item, { root, name, depth: depth + 1 }));
}

const FORMATS: Readonly<Record<string, string>> = {
  date: '2026-01-31',
  time: '12:00:00Z',
  'date-time': '2026-01-31T12:00:00Z',
  duration: 'PT1H',
  email: 'demo@example.com',
  hostname: 'example.com',
  uri: 'https://example.com/',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uuid: '00000000-0000-4000-8000-000000000000',
};

function sampleString(schema: Json, { name }: Place): string {
  const format = typeof schema.format === 'string' && Object.hasOwn(FORMATS, schema.format) ? FORMATS[schema.format] : undefined;
  if (format !== undefined) return format;
  const least = Math.min(numberAt(schema, 'minLength') ?? 0, 1000);
  return name.padEnd(least, '.').slice(0, numberAt(schema, 'maxLength') ?? undefined);
}

/** The first of some plain candidates that the bounds allow. */
function sampleNumber(schema: Json, usualStep: number): number {
  const multipleOf = numberAt(schema, 'multipleOf');
  const step = multipleOf ?? usualStep;
  const above = numberAt(schema, 'exclusiveMinimum') ?? Number.NEGATIVE_INFINITY;
  const below = numberAt(schema, 'exclusiveMaximum') ?? Number.POSITIVE_INFINITY;
  const least = Math.max(numberAt(schema, 'minimum') ?? Number.NEGATIVE_INFINITY, above);
  const most = Math.min(numberAt(schema, 'maximum') ?? Number.POSITIVE_INFINITY, below);
  const up = Math.ceil(least / step) * step;
  const down = Math.floor(most / step) * step;
  const between = multipleOf === undefined && schema.type !== 'integer' ? [(least + most) / 2] : [];
  const fits = (value: number): boolean => value >= least && value <= most && value > above && value < below;
  return [step, up, up + step, down, down - step, ...between].find(fits) ?? step;
}

function numberAt(schema: Json, key: string): number | undefined {
  const value = schema[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
