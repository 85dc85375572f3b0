/** Hashes that are the same in every worker, process and node, for choices that must fall alike everywhere. Not for secrets. */

/** Spreads every bit of a 32-bit number over all others (the finalizer of MurmurHash3, public domain). */
export function mix32(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** FNV-1a over the UTF-16 units of a text, mixed. 0 to 2^32 - 1. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return mix32(hash);
}

/** Of `length` bytes from the first on, four at a time. 0 to 2^32 - 1. */
export function hashBytes(bytes: Uint8Array, length: number): number {
  let hash = length;
  const whole = length - (length % 4);
  for (let at = 0; at < whole; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash = Math.imul((hash << 13) | (hash >>> 19), 5) ^ Math.imul(word, 0xcc9e2d51);
  }
  for (let at = whole; at < length; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return mix32(hash);
}
