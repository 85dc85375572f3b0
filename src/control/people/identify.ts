/** A session's cookie as a proof of who one is. */
import { GatewayError } from '../../core/errors.ts';
import type { EntitiesPort } from '../../store/ports/entities.ts';
import { loadActor } from '../actor.ts';
import type { CallHead, Identify } from '../mount.ts';
import { SESSION_COOKIE, cookieOf } from './cookies.ts';
import type { Sessions } from './sessions.ts';

export interface IdentifyParts {
  sessions: Pick<Sessions, 'find' | 'end'>;
  entities: Pick<EntitiesPort, 'get' | 'membershipsOf'>;
  /** Where browsers reach us. */
  publicUrl: () => string;
}

/** Throws forbidden where a page of somebody else makes the browser act: cookies come along whoever asks. */
export function identifyBySession({ sessions, entities, publicUrl }: IdentifyParts): Identify {
  return async (head) => {
    const token = cookieOf(head.headers.cookie, SESSION_COOKIE);
    if (token === undefined) return undefined;
    const session = await sessions.find(token);
    const actor = session && (await loadActor(entities, session.user));
    if (actor === undefined) {
      // It must not come back to life when its person is let in again.
      if (session !== undefined) await sessions.end(session.id);
      return null;
    }
    if (!isReading(head) && !isOurs(head, publicUrl())) throw foreign();
    return { actor, via: 'session' };
  };
}

function isReading({ method }: CallHead): boolean {
  return method === 'GET' || method === 'HEAD';
}

/**
 * Browsers say where a request comes from, and no page can say otherwise: `Sec-Fetch-Site` where they know it, `Origin` in every request that is not a reading one.
 * A request with neither is no browser's, and those have tokens.
 */
function isOurs({ headers }: CallHead, publicUrl: string): boolean {
  const { 'sec-fetch-site': site, origin } = headers;
  if (site !== undefined) return site === 'same-origin';
  return origin !== undefined && origin === URL.parse(publicUrl)?.origin;
}

function foreign(): GatewayError {
  return new GatewayError('forbidden', { details: { message: 'This request comes from a page of another site' } });
}
