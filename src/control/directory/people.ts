/** People as those who manage: with the roles that they have at this moment. */
import type { Party } from '../../core/directory.ts';
import type { User } from '../../store/ports/entities.ts';
import { rolesOf } from './entries.ts';
import type { DirectoryParts } from './service.ts';

export interface Person extends Required<Pick<Party, 'teams' | 'orgs'>> {
  kind: 'user';
  id: string;
  name: string;
  role: User['role'];
}

export interface People {
  /** Undefined: there is no such user, or he is blocked. */
  get: (id: string) => Promise<Person | undefined>;
  /** Whose management token has that digest, HMAC(pepper, SHA-256(token)). Undefined also where it is expired. */
  byToken: (digest: string) => Promise<Person | undefined>;
}

export function createPeople({ store, nowMs }: DirectoryParts): People {
  const get = async (id: string): Promise<Person | undefined> => {
    const user = await store.entities.get('user', id);
    if (user === undefined || user.blocked) return undefined;
    return { kind: 'user', id, name: user.name, role: user.role, ...rolesOf(await store.entities.membershipsOf([id])) };
  };
  return {
    get,
    byToken: async (digest) => {
      const token = await store.entities.byDigest(digest);
      if (token?.kind !== 'token' || (token.expiresAtMs !== undefined && nowMs() >= token.expiresAtMs)) return undefined;
      return get(token.principal);
    },
  };
}
