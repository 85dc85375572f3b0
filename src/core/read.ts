/**
 * Reading JSON that somebody else wrote: strictly (`must`, `may`: a client's body, refused with the path of the offending field)
 * or loosely (`textOf`, `listOf`, `objectOf`: a provider's answer, where what has the wrong type counts as absent).
 */
import { GatewayError } from './errors.ts';

/** A JSON object as `JSON.parse` makes it; never merged, never trusted. */
export type Json = Record<string, unknown>;

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The body of a client does not have the shape its dialect demands; `param` is the path in that body. */
export function invalid(param: string, message: string): GatewayError {
  return new GatewayError('invalid_request', { details: { param, message: `${param}: ${message}` } });
}

/** Leaving out `param` would change what the answer means. */
export function unsupported(param: string, reason: string): GatewayError {
  return new GatewayError('unsupported_parameter', { details: { param, message: `${param}: ${reason}` } });
}

export function badResponse(message: string, cause?: unknown): GatewayError {
  return new GatewayError('upstream_bad_response', { details: { message }, ...(cause !== undefined && { cause }) });
}

interface Kinds {
  string: string;
  number: number;
  boolean: boolean;
  object: Json;
  array: unknown[];
}

const IS: { [Kind in keyof Kinds]: (value: unknown) => value is Kinds[Kind] } = {
  string: (value) => typeof value === 'string',
  number: (value): value is number => typeof value === 'number' && Number.isFinite(value),
  boolean: (value) => typeof value === 'boolean',
  object: isObject,
  array: (value): value is unknown[] => Array.isArray(value),
};

/** `value` as the kind it must have; otherwise invalid_request naming `param`. */
export function must<Kind extends keyof Kinds>(kind: Kind, value: unknown, param: string): Kinds[Kind] {
  if (IS[kind](value)) return value;
  throw invalid(
    param,
    value === undefined ? 'this field is required' : `this must be ${kind === 'array' || kind === 'object' ? 'an' : 'a'} ${kind}`,
  );
}

/** As `must`, but absent and null mean "not given". */
export function may<Kind extends keyof Kinds>(kind: Kind, value: unknown, param: string): Kinds[Kind] | undefined {
  return value === undefined || value === null ? undefined : must(kind, value, param);
}

/** The object without fields that are undefined, so that absent stays absent under exactOptionalPropertyTypes. */
export function compact<T extends object>(fields: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

/** The text, or '' where there is none. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The objects of the list, or none. */
export function listOf(value: unknown): Json[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** The object, or an empty one. */
export function objectOf(value: unknown): Json {
  return isObject(value) ? value : {};
}
