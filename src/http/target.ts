/** What a request path may look like. Anything that two parsers could read in two ways is refused, never repaired. */
import { GatewayError } from '../core/errors.ts';

/** RFC 3986 pchar without `%` and `;`, in non-empty segments. */
const PLAIN = /^(?:\/[A-Za-z0-9._~!$&'()*+,=:@-]+)+$/;
const PARAMETER = /^(?:[A-Za-z0-9._~!$&'()*+,=:@/-]|%[0-9A-Fa-f]{2})+$/;
const DOT_SEGMENT = /(?:^|\/)\.{1,2}(?:\/|$)/;

/** In the order in which they are named to the caller. */
const FAULTS: readonly (readonly [RegExp, string])[] = [
  [/%/, 'percent-encoding is only understood inside a path parameter'],
  [/\\/, 'it contains a backslash'],
  [/;/, 'it contains a semicolon'],
  [DOT_SEGMENT, 'it contains a dot segment'],
  [/\/\//, 'it contains an empty segment'],
  [/\/$/, 'it ends with a slash'],
];

/** Throws bad_target unless the path is plain: no encoding, dot segment, `//`, trailing slash, `;`, backslash, control character. */
export function requirePlainPath(path: string): void {
  if (path === '/' || (PLAIN.test(path) && !DOT_SEGMENT.test(path))) return;
  throw badPath(FAULTS.find(([pattern]) => pattern.test(path))?.[1] ?? 'it contains a character that paths do not have');
}

/**
 * The rest of a path as the value of a parameter, percent-decoded exactly once. Slashes, encoded or not, may be in it (`meta/llama-3`);
 * what could climb out of a path wherever the value is used next may not.
 */
export function decodeParameter(raw: string): string {
  if (!PARAMETER.test(raw)) throw badPath(raw === '' ? 'it ends with a slash' : 'it contains a character that paths do not have');
  const value = raw.includes('%') ? decodeOnce(raw) : raw;
  if (/[\u0000-\u001f\u007f\\]/.test(value)) throw badPath('it contains an encoded control character or backslash');
  if (DOT_SEGMENT.test(value)) throw badPath('it contains a dot segment');
  if (/^\/|\/\/|\/$/.test(value)) throw badPath('it contains an empty segment');
  return value;
}

function decodeOnce(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    throw badPath('its percent-encoding is not UTF-8');
  }
}

function badPath(why: string): GatewayError {
  return new GatewayError('bad_target', { details: { message: `The request path is malformed: ${why}` } });
}
