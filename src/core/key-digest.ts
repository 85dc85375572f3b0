import { hash } from 'node:crypto';

/**
 * How a key is stored and looked up: HMAC-SHA-256(pepper, SHA-256(key)), hex. Fast on purpose: keys are random, not passwords,
 * and the pepper keeps a stolen table from being searched.
 *
 * `pepper` is the installation's secret, 32 bytes as hex; the result has 64 characters.
 */
export function keyDigest(pepper: string, key: string): string {
  return digestOf(pepper, hash('sha256', key, 'buffer'));
}

/** The same of a key of which only the SHA-256 is known, as 64 hex digits. */
export function digestOfHash(pepper: string, sha256: string): string {
  return digestOf(pepper, Buffer.from(sha256, 'hex'));
}

const BLOCK_BYTES = 64;
const INNER = 0x36;
const OUTER = 0x5c;

/** HMAC (RFC 2104 §2) by two one-shot hashes: node's `Hmac`, an object with a finalizer, takes twice as long, which every key that is not remembered would pay. */
function digestOf(pepper: string, hashed: Buffer): string {
  const bytes = Buffer.alloc(BLOCK_BYTES + hashed.length);
  bytes.write(pepper, 'hex');
  for (let at = 0; at < BLOCK_BYTES; at++) bytes[at]! ^= INNER;
  bytes.set(hashed, BLOCK_BYTES);
  const inner = hash('sha256', bytes, 'buffer');
  for (let at = 0; at < BLOCK_BYTES; at++) bytes[at]! ^= INNER ^ OUTER;
  bytes.set(inner, BLOCK_BYTES);
  return hash('sha256', bytes, 'hex');
}
