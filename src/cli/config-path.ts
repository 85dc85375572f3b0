import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

import type { CliIo } from './io.ts';

const DEFAULT_FILE = 'gateway.yaml';
const DEFAULT_DATA_DIR = '.signalbox';

/**
 * Which file configures Signalbox: the flag's, that of SIGNALBOX_CONFIG, or `gateway.yaml` in the working directory if it is there.
 * Undefined: none, which means first-run mode. A file that was named is answered whether it exists or not.
 */
export function configPath(flag: string | undefined, { env, cwd }: Pick<CliIo, 'env' | 'cwd'>): string | undefined {
  const named = flag ?? env['SIGNALBOX_CONFIG'];
  if (named !== undefined && named !== '') return named;
  return existsSync(join(cwd, DEFAULT_FILE)) ? DEFAULT_FILE : undefined;
}

/** Where state lives: the flag's directory, that of SIGNALBOX_DATA_DIR, or `.signalbox` in the working directory. Absolute. */
export function dataPath(flag: string | undefined, { env, cwd }: Pick<CliIo, 'env' | 'cwd'>): string {
  return resolve(cwd, flag ?? env['SIGNALBOX_DATA_DIR'] ?? DEFAULT_DATA_DIR);
}
