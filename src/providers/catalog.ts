/**
 * The catalog: every provider known without being told, one data row each. Nothing in the code asks for a provider by name; what
 * sets one apart stands in its row.
 */
import type { ProviderRow } from '../core/provider-row.ts';
import { needsBaseUrl } from '../core/provider-row.ts';
import { HOSTS } from './catalog/hosts.ts';
import { LOCAL } from './catalog/local.ts';
import { MAKERS } from './catalog/makers.ts';
import { PLAIN } from './catalog/plain.ts';

/** In order of preference: where several rows read the same environment variable, the first one has it. */
export const CATALOG: readonly ProviderRow[] = [...MAKERS, ...HOSTS, ...PLAIN, ...LOCAL];

const BY_ID: ReadonlyMap<string, ProviderRow> = new Map(CATALOG.map((row) => [row.id, row]));

/** The row that `type` names, if there is one. */
export function catalogRow(id: string): ProviderRow | undefined {
  return BY_ID.get(id);
}

/** A provider that the environment holds a credential for. */
export interface FoundProvider {
  row: ProviderRow;
  /** The variable that is set; its value is for the caller to read, so that no secret is copied here. */
  variable: string;
}

/**
 * The providers that can serve without any configuration: their variable is set (and not empty), and their row says where to send.
 * One variable serves one row, the first that asks for it.
 */
export function providersInEnvironment(env: Readonly<Record<string, string | undefined>>): FoundProvider[] {
  const taken = new Set<string>();
  const found: FoundProvider[] = [];
  for (const row of CATALOG) {
    if (needsBaseUrl(row)) continue;
    const variable = row.env.find((name) => (env[name] ?? '') !== '');
    if (variable === undefined || taken.has(variable)) continue;
    taken.add(variable);
    found.push({ row, variable });
  }
  return found;
}
