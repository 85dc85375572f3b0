/** The process itself, as commands see it. */
import { readFileSync } from 'node:fs';

import type { CliIo } from './io.ts';

/** A reader of our output that leaves (`| head -1`) must not end the process. */
export function processIo(): CliIo {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  return {
    env: process.env,
    cwd: process.cwd(),
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
  };
}

/** From package.json, which stands above src and dist alike. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
