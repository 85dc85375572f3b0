/** What came in, read by a route's schemas; every complaint at the field it is about, none with the value. */
import type * as z from 'zod';

import { formatPath } from '../../config/issue.ts';
import { GatewayError } from '../../core/errors.ts';
import { nearest } from '../../lib/nearest.ts';

export interface InputIssue {
  param: string;
  message: string;
}

const MAX_ISSUES = 50;
const MAX_DEPTH = 32;
/** Of one object. */
const MAX_MEMBERS = 10_000;
/** Complaints name the key that they are about. */
const MAX_KEY = 512;

/** 400 with all that is wrong; `message` and `param` are the first one's, for clients that show one. */
export function invalidInput(issues: readonly InputIssue[]): GatewayError {
  const first = issues[0] ?? { param: '', message: 'is not valid' };
  const message = first.param === '' ? `The request ${first.message}` : `\`${first.param}\` ${first.message}`;
  const details = { message, param: first.param, issues: issues.slice(0, MAX_ISSUES) };
  return new GatewayError('invalid_request', { details });
}

/** Throws invalid_request. `value` is plain JSON. */
export function readInput(schema: z.ZodType, value: unknown): unknown {
  const bad = unreadable(value);
  if (bad !== undefined) throw invalidInput([{ param: formatPath(bad.path.toReversed()), message: bad.message }]);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw invalidInput(result.error.issues.slice(0, MAX_ISSUES).flatMap((issue) => described(issue, [], knownKeys(schema))));
}

type Complaint = z.core.$ZodIssue;
type Path = readonly (string | number)[];

function described(issue: Complaint, prefix: Path, known: readonly string[]): InputIssue[] {
  const path = [...prefix, ...(issue.path as Path)];
  if (issue.code === 'unrecognized_keys')
    return issue.keys.slice(0, MAX_ISSUES).map((key) => unknownField([...path, key], known));
  if (issue.code === 'invalid_union') {
    const branch = issue.errors.find((errors) =>
      errors.every((each) => each.path.length > 0 || each.code === 'unrecognized_keys'),
    );
    if (branch !== undefined && branch.length > 0) return branch.flatMap((each) => described(each, path, known));
  }
  return [{ param: formatPath(path), message: wording(issue) }];
}

function unknownField(path: Path, known: readonly string[]): InputIssue {
  const names = path.length === 1 ? nearest(String(path[0]), known) : [];
  const hint = names.length === 0 ? '' : `; did you mean ${names.map((name) => `\`${name}\``).join(' or ')}?`;
  return { param: formatPath(path), message: `is not a field of this request${hint}` };
}

const KINDS: Readonly<Record<string, string>> = {
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
  string: 'a string',
  number: 'a number',
};
const UNITS: Readonly<Record<string, string>> = { array: ' item(s) long', string: ' character(s) long' };

function wording(issue: Complaint): string {
  switch (issue.code) {
    case 'invalid_type':
      return typeWanted(issue);
    case 'invalid_value':
      return `must be ${issue.values.map((value) => `\`${String(value)}\``).join(' or ')}`;
    case 'too_small':
      return bounded(issue.inclusive === false ? 'more than' : 'at least', issue.minimum, issue.origin);
    case 'too_big':
      return bounded(issue.inclusive === false ? 'less than' : 'at most', issue.maximum, issue.origin);
    case 'invalid_format':
      return 'does not have the form that it must have';
    case 'invalid_key':
      return issue.issues[0]?.message ?? 'has a key that is not valid';
    default:
      return issue.message;
  }
}

function typeWanted({ message, expected }: z.core.$ZodIssueInvalidType): string {
  return message.endsWith('received undefined') ? 'is missing' : `must be ${KINDS[expected] ?? expected}`;
}

function bounded(relation: string, bound: number | bigint, origin: string): string {
  return `must be ${relation} ${bound}${UNITS[origin] ?? ''}`;
}

function knownKeys(schema: z.ZodType): string[] {
  return 'shape' in schema && typeof schema.shape === 'object' && schema.shape !== null ? Object.keys(schema.shape) : [];
}

/**
 * Text that no database keeps as it is (NUL, half a surrogate pair), the one key that objects do not keep, nesting without end, and objects whose members alone would
 * keep everybody waiting. Everybody's calls wait for this walk over up to a megabyte: it makes nothing on its way.
 */
function unreadable(value: unknown, depth = 0): Unreadable | undefined {
  if (typeof value === 'string') return isKeepable(value) ? undefined : { path: [], message: UNKEEPABLE };
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth >= MAX_DEPTH) return { path: [], message: 'is nested too deeply' };
  return Array.isArray(value) ? unreadableItem(value, depth) : unreadableMember(value as Record<string, unknown>, depth);
}

interface Unreadable {
  /** From the value inwards, the last step first. */
  path: (string | number)[];
  message: string;
}

function unreadableItem(list: readonly unknown[], depth: number): Unreadable | undefined {
  for (let index = 0; index < list.length; index++) {
    const bad = unreadable(list[index], depth + 1);
    if (bad !== undefined) return { ...bad, path: [...bad.path, index] };
  }
  return undefined;
}

function unreadableMember(members: Readonly<Record<string, unknown>>, depth: number): Unreadable | undefined {
  const keys = Object.keys(members);
  if (keys.length > MAX_MEMBERS) return { path: [], message: `has more than ${MAX_MEMBERS} members` };
  for (const key of keys) {
    if (key === '__proto__' || key.length > MAX_KEY || !isKeepable(key))
      return { path: [], message: 'has a key that is not valid' };
    const bad = unreadable(members[key], depth + 1);
    if (bad !== undefined) return { ...bad, path: [...bad.path, key] };
  }
  return undefined;
}

const UNKEEPABLE = 'holds a character that cannot be kept';

function isKeepable(text: string): boolean {
  return !text.includes('\u0000') && text.isWellFormed();
}
