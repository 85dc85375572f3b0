/** What a provider renames or refuses, applied to a finished body. */
import { type Json, objectOf, unsupported } from '../../core/read.ts';
import type { EncodeTarget } from '../dialect.ts';

/** Parameters without which the answer would mean something else, and when. All others can be left out with a warning. */
const ESSENTIAL: ReadonlyMap<string, (value: unknown) => boolean> = new Map<string, (value: unknown) => boolean>([
  ['tools', () => true],
  ['tool_choice', (value) => value !== 'auto'],
  ['response_format', (value) => objectOf(value).type !== 'text'],
  ['n', (value) => value !== 1],
  ['modalities', () => true],
]);

/** @throws GatewayError unsupported_parameter where the provider refuses what the caller cannot do without. */
export function applyQuirks(body: Json, { quirks, warn }: EncodeTarget): Json {
  const refused = new Set(quirks.unsupported);
  const kept = Object.entries(body).filter(([name, value]) => {
    if (!refused.has(name)) return true;
    if (ESSENTIAL.get(name)?.(value) === true) throw unsupported(name, 'the provider of this model does not take it');
    warn({ param: name, reason: 'the provider of this model does not take it' });
    return false;
  });
  return Object.fromEntries(kept.map(([name, value]) => [renamed(name, quirks.rename), value]));
}

function renamed(name: string, table: Readonly<Record<string, string>> | undefined): string {
  return table !== undefined && Object.hasOwn(table, name) ? (table[name] ?? name) : name;
}
