/** What comes in about agents: checked like the file's, with addresses judged as a stranger's word and nothing that would read this machine. */
import type { AgentConfig } from '../../core/agent.ts';
import { resolveAgent } from '../../config/resolve-agents.ts';
import { type AgentSettings, agentProblem, agentSchema } from '../../config/schema-agent.ts';
import { GatewayError } from '../../core/errors.ts';
import type { StoredAgent } from '../../store/ports/agents.ts';
import { type InputIssue, invalidInput, readInput } from '../contract/input.ts';
import type { Services } from '../contract/ports.ts';
import { openSecrets, sealSecrets, splitSecrets } from './secrets.ts';

/** Settings that may be kept, with the row that keeps them. */
export interface Accepted {
  config: AgentConfig;
  row: StoredAgent;
}

export interface Writing {
  by: string;
  /** The row before, where there is one. */
  before?: StoredAgent | undefined;
}

/** Throws invalid_request with all that is wrong; nothing is stored by it. */
export async function acceptAgent(
  settings: AgentSettings,
  { by, before }: Writing,
  { agents, nowMs }: Services,
): Promise<Accepted> {
  const issues: InputIssue[] = [...references(settings, [])];
  const problem = agentProblem(settings);
  if (problem !== undefined) issues.push({ param: problem[0], message: problem[1] });
  for (const [param, url] of addressesOf(settings)) {
    const refused = await agents.addressProblem(url);
    if (refused !== undefined) issues.push({ param, message: refused });
  }
  if (issues.length > 0) throw invalidInput(issues);
  const { open, secrets } = splitSecrets(settings as AgentSettings & { url?: string });
  const sealed = sealSecrets(agents.ring, settings, secrets);
  const row: StoredAgent = {
    name: settings.name,
    kind: 'agent',
    version: (before?.version ?? 0) + 1,
    atMs: nowMs(),
    by,
    content: JSON.stringify(open),
    ...(sealed !== undefined && { sealed }),
  };
  return { row, config: { ...resolveAgent(settings, { slotOf: agents.slotOf }), outside: true } };
}

/** What is kept of an agent, with its secrets as far as they may still be sent to where it is. */
export function settingsOf(row: StoredAgent, { agents }: Services): Record<string, unknown> {
  return { ...(JSON.parse(row.content) as object), ...openSecrets(agents.ring, row) };
}

/** JSON merge patch (RFC 7396) of the settings; null takes away. */
export function patched(before: Record<string, unknown>, patch: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const after = { ...before };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete after[name];
    else after[name] = isObject(value) && isObject(after[name]) && name !== 'headers' ? patched(after[name], value) : value;
  }
  return after;
}

/** Throws invalid_request. */
export function readSettings(value: unknown): AgentSettings {
  return readInput(agentSchema, value) as AgentSettings;
}

/**
 * Secrets that were written for other places do not go along: whoever moves an agent says them anew. Answers the settings without them where any place is new.
 */
export function withoutMovedSecrets(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
  patch: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const known = new Set(addressesOf(before as AgentSettings).map(([, url]) => URL.parse(url)?.origin));
  const isMoved = addressesOf(after).some(([, url]) => !known.has(URL.parse(url)?.origin));
  if (!isMoved || patch.api_key !== undefined) return after;
  const { secrets } = splitSecrets(after as { name: string; headers?: Record<string, string> });
  const { api_key: _, ...rest } = after;
  const headers = Object.entries((after.headers ?? {}) as Record<string, string>).filter(
    ([name]) => secrets.headers?.[name] === undefined || (isObject(patch.headers) && name in patch.headers),
  );
  return { ...rest, headers: Object.fromEntries(headers) };
}

function addressesOf({
  url,
  card_url,
  replicas = [],
  health,
  allow_origins = [],
  card_keys = [],
}: Partial<AgentSettings>): [string, string][] {
  const all: [string, string | undefined][] = [
    ['url', url],
    ['card_url', card_url],
    ['health.url', health?.url],
    ...replicas.map((each, index): [string, string] => [`replicas[${index}].url`, each.url]),
    ...card_keys.map((each, index): [string, string] => [`card_keys[${index}]`, each]),
    ...allow_origins.map((each, index): [string, string] => [`allow_origins[${index}]`, each]),
  ];
  return all.filter((each): each is [string, string] => typeof each[1] === 'string');
}

/** They would read this machine's environment and files. */
function references(value: unknown, path: readonly string[]): InputIssue[] {
  if (typeof value === 'string' && /\$\{(env|file):/.test(value)) {
    return [{ param: path.join('.'), message: 'references to the environment and to files stand in the file only' }];
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => references(member, [...path, name]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The row of an agent that may be changed here. Throws not_found, and conflict for those of the file. */
export function writableRow(name: string, { agents }: Services): StoredAgent {
  const entry = agents.service.registry.get(name);
  if (entry === undefined) throw new GatewayError('not_found', { details: { message: `Agent not found: ${name}` } });
  const row = agents.service.stored(name);
  if (entry.origin === 'api' && row !== undefined) return row;
  throw new GatewayError('conflict', { details: { message: 'This agent stands in the configuration file; change it there' } });
}

/** Throws precondition_failed where the client has read another version. */
export function requireVersion(header: string | undefined, version: number | undefined): void {
  if (header === undefined || header === '*' || header === `"${version ?? 0}"`) return;
  throw new GatewayError('precondition_failed');
}
