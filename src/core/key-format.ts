/**
 * What minted keys look like: `sk-sb-` or `sk-sb-admin-`, 43 random base62 characters (256 bits), 6 characters of CRC-32.
 *
 * The checksum lets scanners and clients tell a mistyped key from an unknown one; it proves nothing.
 * Keys of the operator's file need not look like this.
 */
import { crc32 } from 'node:zlib';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SECRET_LENGTH = 43;
const CHECKSUM_LENGTH = 6;
const PREFIXES = { key: 'sk-sb-', admin: 'sk-sb-admin-' } as const;
const MINTED = new RegExp(`^sk-sb-(?:admin-)?[0-9A-Za-z]{${SECRET_LENGTH + CHECKSUM_LENGTH}}$`);

/** A new key. `random` answers that many unpredictable bytes (`crypto.randomBytes`). */
export function mintKey(kind: keyof typeof PREFIXES, random: (size: number) => Uint8Array): string {
  const body = PREFIXES[kind] + randomBase62(SECRET_LENGTH, random);
  return body + checksum(body);
}

/** True for what `mintKey` makes, checksum included; says nothing about whether the key is known. */
export function isMintedKey(key: string): boolean {
  return MINTED.test(key) && checksum(key.slice(0, -CHECKSUM_LENGTH)) === key.slice(-CHECKSUM_LENGTH);
}

/** Whether it has the form of a management token: those manage and call no models, whoever they belong to. */
export function isManagementToken(key: string): boolean {
  return key.startsWith(PREFIXES.admin) && isMintedKey(key);
}

function checksum(text: string): string {
  let rest = crc32(text);
  let digits = '';
  for (let place = 0; place < CHECKSUM_LENGTH; place++) {
    digits = ALPHABET.charAt(rest % ALPHABET.length) + digits;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return digits;
}

/** Bytes above the largest multiple of 62 are thrown away, so that every character is equally likely. */
function randomBase62(length: number, random: (size: number) => Uint8Array): string {
  const fair = 256 - (256 % ALPHABET.length);
  let text = '';
  while (text.length < length) {
    for (const byte of random(length)) {
      if (byte < fair && text.length < length) text += ALPHABET.charAt(byte % ALPHABET.length);
    }
  }
  return text;
}
