/** The one behind the key, as the client names him: in a header of the operator's choice, in `user`, or in `metadata.user_id`. */
import { createHash } from 'node:crypto';

import { GatewayError } from '../core/errors.ts';
import type { Rules } from '../core/rules.ts';
import { readString } from '../lib/json-scan.ts';
import type { ClientBody } from './body.ts';
import type { Exchange } from './exchange.ts';
import type { Surface } from './surface.ts';

const MAX_LENGTH = 128;
/** Anthropic knows one member of it; only that much is parsed. */
const MAX_METADATA_BYTES = 16_384;
/** Hexadecimal digits that keep two long names apart which begin alike. */
const TAIL_LENGTH = 16;

/** Undefined where the client names nobody. Without a body only the header can name him. Longer names are cut to 128 characters, the end of them a hash of the whole. */
export function endUserOf({ line, request, surface }: Exchange, body?: ClientBody): string | undefined {
  const { header } = line.snapshot.endUsers;
  const told = header === undefined ? undefined : request.headers[header];
  const name = (typeof told === 'string' && told !== '' ? told : body && nameIn(body, surface)) ?? '';
  if (name === '') return undefined;
  const clean = name.replaceAll(/\p{Cc}/gu, '?');
  if (clean.length <= MAX_LENGTH) return clean;
  const tail = createHash('sha256').update(name).digest('hex').slice(0, TAIL_LENGTH);
  return `${clean.slice(0, MAX_LENGTH - TAIL_LENGTH - 1)}~${tail}`;
}

function nameIn({ bytes, scan: { members } }: ClientBody, { errorKind }: Surface): string | undefined {
  if (errorKind !== 'anthropic') return readString(bytes, members.get('user'));
  const span = members.get('metadata');
  if (span === undefined || span.valueEnd - span.valueStart > MAX_METADATA_BYTES) return undefined;
  const metadata = JSON.parse(bytes.toString('utf8', span.valueStart, span.valueEnd)) as { user_id?: unknown } | null;
  return typeof metadata?.user_id === 'string' ? metadata.user_id : undefined;
}

/** The rules that hold for the exchange's end user; a promise where main must be asked for his place. Throws store_down where his past cannot be told. */
export function endUserRules({ endUser, line, plane }: Exchange): Rules | undefined | Promise<Rules> {
  const { rules } = line.snapshot.endUsers;
  if (endUser === undefined || rules === undefined) return undefined;
  const found = plane.endUsers.rulesOf(endUser, rules);
  return found instanceof Promise ? found.catch(untold) : found;
}

const RETRY_S = 5;

function untold(cause: unknown): never {
  const message = 'What this end user has spent cannot be looked up now';
  throw new GatewayError('store_down', { cause, details: { message, retryAfterS: RETRY_S } });
}
