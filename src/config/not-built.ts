/**
 * Keys that belong to the file's language but whose capability this version does not have: accepting them would promise what does not
 * happen. Whoever builds one deletes its row and adds the key to schema.ts.
 */
import type { Path } from './issue.ts';

/** Path pattern (`*`: any key or item) → what the key will do. */
export const NOT_BUILT: Readonly<Record<string, string>> = {
  metrics: 'a listener of its own for /metrics',
  'admin.listen': 'a listener of its own for the control plane',
};

/** The complaint about a key of a later version; undefined where the key is none. */
export function notBuiltKey(path: Path): string | undefined {
  const capability = lookUp(NOT_BUILT, path);
  return capability && `\`${path.at(-1)}\` (${capability}) is not built yet in this version; remove it`;
}

function lookUp<Value>(table: Readonly<Record<string, Value>>, path: Path): Value | undefined {
  const match = Object.keys(table).find((pattern) => {
    const steps = pattern.split('.');
    return steps.length === path.length && steps.every((step, index) => step === '*' || step === path[index]);
  });
  return match === undefined ? undefined : table[match];
}
