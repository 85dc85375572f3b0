/**
 * Secrets at rest: AES-256-GCM under a key that is derived, by HKDF-SHA-256 and a label, for each purpose from one master key. What a text belongs to is bound in as
 * additional data: a sealed text that somebody moves to another row does not open there.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';

/** Every purpose has a key of its own. */
export type SealPurpose = 'cred/v1' | 'body/v1' | 'sign-on/v1';

/** The key of one purpose, for a thread that seals and opens nothing. */
export interface SealKey {
  /** Of the master key. */
  id: string;
  key: Uint8Array;
}

export interface Keyring {
  /** Of the key that seals: eight hex digits, no secret. */
  currentId: string;
  ids: readonly string[];
  /** `belonging`: table, row and column. */
  seal(purpose: SealPurpose, belonging: readonly string[], text: string): string;
  keyFor(purpose: SealPurpose): SealKey;
  /** Undefined: sealed by a key that we do not have, for something else, or not what was sealed. */
  open(purpose: SealPurpose, belonging: readonly string[], sealed: string): string | undefined;
}

export const MASTER_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHER = 'aes-256-gcm';

/** `masters`: the first one seals, all of them open. `random(size)`: unpredictable bytes. */
export function createKeyring(masters: readonly Buffer[], random: (size: number) => Buffer): Keyring {
  const keys = new Map(masters.map((master) => [idOf(master), createDeriver(master)] as const));
  const [currentId] = keys.keys();
  if (currentId === undefined) throw new Error('a keyring needs a key');
  const keyFor = (purpose: SealPurpose): SealKey => ({ id: currentId, key: keys.get(currentId)!(purpose) });
  return {
    currentId,
    ids: [...keys.keys()],
    seal: (purpose, belonging, text) => sealUnder(keyFor(purpose), { belonging, text, random }),
    keyFor,
    open(purpose, belonging, sealed) {
      const [version, id = '', body = ''] = sealed.split('.');
      const keyOf = keys.get(id);
      const bytes = Buffer.from(body, 'base64url');
      if (version !== '1' || keyOf === undefined || bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
      const decipher = createDecipheriv(CIPHER, keyOf(purpose), bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
      decipher.setAAD(additional(belonging));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      try {
        return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]).toString('utf8');
      } catch {
        return undefined;
      }
    },
  };
}

/** `belonging`: table, row and column. */
export function sealUnder(
  { id, key }: SealKey,
  { belonging, text, random }: { belonging: readonly string[]; text: string; random: (size: number) => Buffer },
): string {
  const nonce = random(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(additional(belonging));
  const bytes = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `1.${id}.${bytes.toString('base64url')}`;
}

/** What a recorded body belongs to. */
export function bodyBelonging({ id, part }: { id: string; part: string }): readonly string[] {
  return ['recorded_bodies', id, part];
}

/** The id of the key that a text was sealed with. */
export function sealedBy(sealed: string): string {
  return sealed.split('.')[1] ?? '';
}

function createDeriver(master: Buffer): (purpose: SealPurpose) => Buffer {
  const derived = new Map<SealPurpose, Buffer>();
  return (purpose) => {
    const known = derived.get(purpose);
    if (known !== undefined) return known;
    const key = derive(master, purpose, MASTER_KEY_BYTES);
    derived.set(purpose, key);
    return key;
  };
}

function idOf(master: Buffer): string {
  return derive(master, 'id/v1', 4).toString('hex');
}

function derive(master: Buffer, label: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', master, '', `signalbox ${label}`, bytes));
}

/** As JSON: no choice of names can make two lists equal. */
function additional(belonging: readonly string[]): Buffer {
  return Buffer.from(JSON.stringify(belonging));
}
