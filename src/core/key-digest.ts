import { createHmac, hash } from 'node:crypto';

/**
 * How a key is stored and looked up: HMAC-SHA-256(pepper, SHA-256(key)), hex. Fast on purpose: keys are random, not passwords,
 * and the pepper keeps a stolen table from being searched.
 *
 * `pepper` is the installation's secret as hex; the result has 64 characters.
 */
export function keyDigest(pepper: string, key: string): string {
  return digestOf(pepper, hash('sha256', key, 'buffer'));
}

/** The same of a key of which only the SHA-256 is known, as 64 hex digits. */
export function digestOfHash(pepper: string, sha256: string): string {
  return digestOf(pepper, Buffer.from(sha256, 'hex'));
}

function digestOf(pepper: string, hashed: Buffer): string {
  return createHmac('sha256', Buffer.from(pepper, 'hex')).update(hashed).digest('hex');
}
