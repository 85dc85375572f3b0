import { createHmac, hash } from 'node:crypto';

/**
 * How a key is stored and looked up: HMAC-SHA-256(pepper, SHA-256(key)), hex. Fast on purpose: keys are random, not passwords,
 * and the pepper keeps a stolen table from being searched.
 *
 * `pepper` is the installation's secret as hex; the result has 64 characters.
 */
export function keyDigest(pepper: string, key: string): string {
  return createHmac('sha256', Buffer.from(pepper, 'hex'))
    .update(hash('sha256', key, 'buffer'))
    .digest('hex');
}
