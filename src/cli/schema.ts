/** `signalbox schema`: JSON Schema of the configuration file, for editors. */
import { jsonSchema } from '../config/schema.ts';
import type { CliIo } from './io.ts';

/** Prints the schema; answers the exit code. */
export function runSchema(io: Pick<CliIo, 'out'>): number {
  io.out(`${JSON.stringify({ title: 'Signalbox configuration', ...jsonSchema() }, null, 2)}\n`);
  return 0;
}
