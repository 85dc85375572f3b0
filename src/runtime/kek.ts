/** The key that seals what the store keeps of secrets: `SIGNALBOX_KEK`, or a file in the data directory that only its owner can read. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { MASTER_KEY_BYTES } from '../lib/seal.ts';
import { writePrivateFile } from './data-dir.ts';
import { StartError } from './start-error.ts';

const VARIABLE = 'SIGNALBOX_KEK';
const FILE = 'kek';

export interface Kek {
  /** The first one seals; the others only open. */
  keys: Buffer[];
  /** The variable's name, or the file's path. */
  source: string;
  isFile: boolean;
}

/** Makes the file where neither is there. Throws StartError for a key that cannot be used. */
export function readKek(dataDir: string, env: Readonly<Record<string, string | undefined>>): Kek {
  const given = env[VARIABLE];
  if (given !== undefined && given !== '') return { keys: parsed(given.split(','), VARIABLE), source: VARIABLE, isFile: false };
  const path = join(dataDir, FILE);
  if (!existsSync(path)) writeKek(dataDir, [randomBytes(MASTER_KEY_BYTES)]);
  if ((statSync(path).mode & 0o077) !== 0) {
    throw new StartError(`${path} can be read by others: chmod 600 it, or give the key in ${VARIABLE}`);
  }
  return { keys: parsed(readFileSync(path, 'utf8').trim().split('\n'), path), source: path, isFile: true };
}

/** Whole or not at all. */
export function writeKek(dataDir: string, keys: readonly Buffer[]): void {
  writePrivateFile(join(dataDir, FILE), `${keys.map((key) => key.toString('hex')).join('\n')}\n`);
}

function parsed(texts: readonly string[], source: string): Buffer[] {
  return texts.map((text) => {
    const trimmed = text.trim();
    const key = /^[0-9a-f]{64}$/i.test(trimmed) ? Buffer.from(trimmed, 'hex') : Buffer.from(trimmed, 'base64');
    if (key.length === MASTER_KEY_BYTES && new Set(key).size > 4) return key;
    throw new StartError(`${source} must hold ${MASTER_KEY_BYTES} random bytes, as 64 hex digits or as base64`);
  });
}
