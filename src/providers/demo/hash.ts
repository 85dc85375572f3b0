/** Numbers that only depend on a text: the demo's ids, choices of words and vectors. Not for secrets. */
import { createHash } from 'node:crypto';

/** Hexadecimal digits of SHA-256, `length` of them. */
export function digest(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}

/** FNV-1a, 32 bits: many small hashes are cheap. */
export function hash32(text: string, seed: number): number {
  let hash = (2_166_136_261 ^ seed) >>> 0;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 16_777_619) >>> 0;
  }
  // FNV barely mixes its last characters into the high bits, which choose a vector's places.
  hash = Math.imul(hash ^ (hash >>> 15), 2_246_822_507) >>> 0;
  return (hash ^ (hash >>> 13)) >>> 0;
}
