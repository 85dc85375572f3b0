/** A YAML file that a command is given. */
import { readFile } from 'node:fs/promises';
import { type ParseOptions, type ToJSOptions, YAMLParseError, parse } from 'yaml';

import { CommandError } from './command-error.ts';

/** Throws CommandError, with the line where it is not YAML; never with what stands there, which may be a secret. */
export async function readYaml(path: string, options: ParseOptions & ToJSOptions): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch(() => {
    throw new CommandError(`${path} cannot be read`);
  });
  try {
    return parse(text, options) as unknown;
  } catch (error) {
    const line = error instanceof YAMLParseError ? error.linePos?.[0] : undefined;
    throw new CommandError(`${path}${line === undefined ? '' : `:${line.line}:${line.col}`} is not valid YAML`);
  }
}
