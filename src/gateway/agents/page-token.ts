/**
 * Where a list of tasks goes on. What stands behind a page may be somebody else's task, whose id nobody is told: a token is sealed, for one agent and one caller, by the
 * installation's secret, so that every worker opens it.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface PageTokens {
  seal: (cursor: string) => string;
  /** Undefined: none of ours. */
  open: (token: string) => string | undefined;
}

/** `pepper`: hex. `owner`: whose list it is. */
export function pageTokens(pepper: string, { agent, owner }: { agent: string; owner: string }): PageTokens {
  const key = createHmac('sha256', Buffer.from(pepper, 'hex')).update(`pages\0${agent}\0${owner}`).digest();
  return {
    seal(cursor) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, key, nonce);
      const sealed = Buffer.concat([cipher.update(cursor, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString('base64url');
    },
    open(token) {
      const bytes = Buffer.from(token, 'base64url');
      if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
      const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      try {
        const sealed = bytes.subarray(NONCE_BYTES, -TAG_BYTES);
        return Buffer.concat([decipher.update(sealed), decipher.final()]).toString('utf8');
      } catch {
        return undefined;
      }
    },
  };
}
