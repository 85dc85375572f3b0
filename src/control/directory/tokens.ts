/** Management tokens: a person's way to the admin API without a browser. They call no models. */
import { keyDigest } from '../../core/key-digest.ts';
import { mintKey } from '../../core/key-format.ts';
import type { Token } from '../../store/ports/entities.ts';
import { invalid, named, require } from './change.ts';
import { given } from './entries.ts';
import { shownPart } from './secret.ts';
import type { DirectoryParts, Written } from './parts.ts';
import type { Writer } from './writer.ts';

export interface TokenInput {
  /** Whom it is for. */
  user: string;
  name: string;
  expiresAtMs?: number;
}

export interface Tokens {
  /** `secret` is shown once and kept nowhere. */
  create: (input: TokenInput, by: string) => Promise<Written<Token> & { after: Token; secret: string }>;
  get: (id: string) => Promise<Token | undefined>;
  list: (query: { user: string; afterId?: string | undefined; limit: number }) => Promise<Token[]>;
  remove: (id: string) => Promise<Written<Token> & { before: Token }>;
}

export function createTokens(parts: DirectoryParts, writer: Writer): Tokens {
  const { entities } = parts.store;
  return {
    create: ({ user, name, expiresAtMs }, by) =>
      writer.exclusive(async () => {
        await named(entities, { kind: 'user', id: user, param: 'user' });
        const nowMs = parts.nowMs();
        if (expiresAtMs !== undefined && expiresAtMs <= nowMs) throw invalid('expires_at', 'is past already');
        const secret = mintKey('admin', parts.random);
        const after: Token = {
          kind: 'token',
          id: parts.newId('tok'),
          name,
          principal: user,
          digest: keyDigest(parts.pepper, secret),
          shown: shownPart(secret),
          metadata: {},
          createdAtMs: nowMs,
          updatedAtMs: nowMs,
          createdBy: by,
          ...given({ expiresAtMs }),
        };
        return { after, secret, inForce: await writer.commit({ put: [after] }) };
      }),
    get: (id) => entities.get('token', id),
    list: ({ user, ...page }) => entities.list('token', { ...page, principal: user }),
    remove: (id) =>
      writer.exclusive(async () => {
        const before = await require(entities, 'token', id);
        return { before, inForce: await writer.commit({ remove: [{ kind: 'token', id }] }) };
      }),
  };
}
