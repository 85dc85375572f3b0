import { existsSync } from 'node:fs';
import { join } from 'node:path';

import type { CliIo } from './io.ts';

const DEFAULT_FILE = 'gateway.yaml';

/**
 * Which file configures Signalbox: the flag's, that of SIGNALBOX_CONFIG, or `gateway.yaml` in the working directory if it is there.
 * Undefined: none, which means first-run mode. A file that was named is answered whether it exists or not.
 */
export function configPath(flag: string | undefined, { env, cwd }: Pick<CliIo, 'env' | 'cwd'>): string | undefined {
  const named = flag ?? env['SIGNALBOX_CONFIG'];
  if (named !== undefined && named !== '') return named;
  return existsSync(join(cwd, DEFAULT_FILE)) ? DEFAULT_FILE : undefined;
}
