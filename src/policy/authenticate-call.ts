/** Who is calling, by a key or by a token of the issuer. */
import type { IncomingHttpHeaders } from 'node:http';

import type { Caller } from '../core/directory.ts';
import { GatewayError } from '../core/errors.ts';
import { type Authenticate, KEY_HEADERS } from './authenticate.ts';
import type { CallerOfToken } from './jwt.ts';

/** A promise only where a token is met for the first time in a while. */
export type AuthenticateCall = (headers: IncomingHttpHeaders, nowMs: number, clientIp: string) => Caller | Promise<Caller>;

/** Three parts of base64url, the first of which is a JSON object. */
const TOKEN = /^bearer +(eyJ[\w-]+\.[\w-]+\.[\w-]+) *$/i;

/** Throws, or rejects, as `authenticate` does, and as the token's own words say where there is no key beside it. */
export function withTokens(authenticate: Authenticate, callerOfToken: CallerOfToken): AuthenticateCall {
  return (headers, nowMs, clientIp) => {
    const token = TOKEN.exec(headers.authorization ?? '')?.[1];
    if (token === undefined) return authenticate(headers, nowMs, clientIp);
    const byKey = (): Caller => authenticate(headers, nowMs, clientIp);
    const byToken = callerOfToken(token);
    const hasKey = KEY_HEADERS.some((name) => headers[name] !== undefined);
    return byToken instanceof Promise ? settleLater(byToken, byKey, hasKey) : settle(byToken, byKey, hasKey);
  };
}

async function settleLater(token: Promise<Caller | undefined>, byKey: () => Caller, hasKey: boolean): Promise<Caller> {
  let byToken: Caller | undefined;
  try {
    byToken = await token;
  } catch (thrown) {
    // A foreign token beside a valid key is none of ours.
    const caller = hasKey ? callerOrUndefined(byKey) : undefined;
    if (caller === undefined) throw thrown;
    return caller;
  }
  return settle(byToken, byKey, hasKey);
}

function settle(byToken: Caller | undefined, byKey: () => Caller, hasKey: boolean): Caller {
  // A key of the file may look like a token.
  if (byToken === undefined) return byKey();
  if (hasKey && callerOrUndefined(byKey) !== undefined) throw new GatewayError('conflicting_keys');
  return byToken;
}

function callerOrUndefined(byKey: () => Caller): Caller | undefined {
  try {
    return byKey();
  } catch (thrown) {
    if (thrown instanceof GatewayError && thrown.status === 401 && thrown.code !== 'conflicting_keys') return undefined;
    throw thrown;
  }
}
