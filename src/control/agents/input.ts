/** What comes in about agents: checked like the file's, with addresses judged as a stranger's word and nothing that would read this machine. */
import type { AgentConfig } from '../../core/agent.ts';
import { resolveAgent } from '../../config/resolve-agents.ts';
import { isSecretHeader } from '../../config/check-secrets.ts';
import { type AgentSettings, agentProblems, agentSchema } from '../../config/schema-agent.ts';
import { GatewayError } from '../../core/errors.ts';
import type { StoredAgent } from '../../store/ports/agents.ts';
import { type InputIssue, invalidInput, readInput } from '../contract/input.ts';
import type { Services } from '../contract/ports.ts';
import { HIDDEN, openSecrets, sealSecrets, splitSecrets } from './secrets.ts';

/** Settings that may be kept, with the row that keeps them. */
export interface Accepted {
  config: AgentConfig;
  row: StoredAgent;
}

export interface Writing {
  by: string;
  /** The row before, where there is one. */
  before?: StoredAgent | undefined;
  /** Only looked at: its rules take no places in shared memory. */
  isTrial?: boolean;
}

/** A path under /v1/agents that is no agent. */
const TAKEN_NAMES = new Set(['stats']);

/** Throws invalid_request with all that is wrong; nothing is stored by it. */
export async function acceptAgent(
  settings: AgentSettings,
  { by, before, isTrial = false }: Writing,
  { agents, nowMs }: Services,
): Promise<Accepted> {
  const issues: InputIssue[] = [...references(settings, []), ...hiddenValues(settings)];
  issues.push(...agentProblems(settings).map(([param, message]) => ({ param, message })));
  if (TAKEN_NAMES.has(settings.name)) issues.push({ param: 'name', message: 'is taken: it would not be found by it' });
  if (settings.model !== undefined && !agents.hasModel(settings.model)) {
    issues.push({ param: 'model', message: `there is no model \`${settings.model.slice(0, 128)}\`` });
  }
  issues.push(...(await refusedAddresses(settings, agents.addressProblem)));
  if (issues.length > 0) throw invalidInput(issues);
  const { open, secrets } = splitSecrets(settings as AgentSettings & { url?: string });
  const sealed = sealSecrets(agents.ring, settings, secrets);
  const row: StoredAgent = {
    name: settings.name,
    version: (before?.version ?? 0) + 1,
    atMs: nowMs(),
    by,
    content: JSON.stringify(open),
    ...(sealed !== undefined && { sealed }),
  };
  const slotOf = isTrial ? () => 0 : agents.slotOf;
  return { row, config: { ...resolveAgent(settings, { slotOf }), outside: true } };
}

/** What is kept of an agent, with its secrets as far as they may still be sent to where it is. */
export function settingsOf(row: StoredAgent, { agents }: Services): Record<string, unknown> {
  return { ...(JSON.parse(row.content) as object), ...openSecrets(agents.ring, row) };
}

/** JSON merge patch (RFC 7396) of the settings; null takes away. */
export function patched(before: Record<string, unknown>, patch: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const after = { ...before };
  for (const [name, value] of Object.entries(patch)) {
    const known = isObject(after[name]) ? after[name] : {};
    if (value === null) delete after[name];
    else if (!isObject(value)) after[name] = value;
    // Names of headers are the same in any case.
    else after[name] = name === 'headers' ? patched(inLowerCase(known), inLowerCase(value)) : patched(known, value);
  }
  return after;
}

function inLowerCase(headers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
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
  const known = new Set(sentTo(before).map(([, url]) => URL.parse(url)?.origin));
  const isMoved = sentTo(after).some(([, url]) => !known.has(URL.parse(url)?.origin));
  if (!isMoved || !isObject(after.headers ?? {})) return after;
  const { secrets } = splitSecrets(after as { name: string; headers?: Record<string, string> });
  const { api_key, ...rest } = after;
  const anew = inLowerCase(isObject(patch.headers) ? patch.headers : {});
  const headers = Object.entries((after.headers ?? {}) as Record<string, string>).filter(
    ([name]) => secrets.headers?.[name] === undefined || name.toLowerCase() in anew,
  );
  return { ...rest, ...(patch.api_key !== undefined && { api_key }), headers: Object.fromEntries(headers) };
}

/** Where its credential goes, by the field that says so. */
function sentTo({ url, card_url, replicas = [], health, allow_origins = [] }: Partial<AgentSettings>): [string, string][] {
  const all: [string, string | undefined][] = [
    ['url', url],
    ['card_url', card_url],
    ['health.url', health?.url],
    ...replicas.map((each, index): [string, string] => [`replicas[${index}].url`, each.url]),
    ...allow_origins.map((each, index): [string, string] => [`allow_origins[${index}]`, each]),
  ];
  return all.filter((each): each is [string, string] => typeof each[1] === 'string');
}

/** Names are looked up: all at once, since each may take seconds. */
async function refusedAddresses(
  settings: AgentSettings,
  addressProblem: Services['agents']['addressProblem'],
): Promise<InputIssue[]> {
  const keySets = settings.card_keys.map((each, index): [string, string] => [`card_keys[${index}]`, each]);
  const looked = [...sentTo(settings), ...keySets].map(async ([param, url]) => {
    const message = await addressProblem(url);
    return message === undefined ? [] : [{ param, message }];
  });
  return (await Promise.all(looked)).flat();
}

/** As answers show a secret: whoever sends an answer back does not mean it. */
function hiddenValues({ headers }: AgentSettings): InputIssue[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    value === HIDDEN && isSecretHeader(name)
      ? [
          {
            param: `headers.${name}`,
            message: 'is what stands for a secret that is not shown; write the secret, or leave it out',
          },
        ]
      : [],
  );
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
  const message =
    entry.config.socketPath === undefined
      ? 'This agent stands in the configuration file; change it there'
      : 'This agent is one of the demonstration, which goes once there is a configuration file';
  throw new GatewayError('conflict', { details: { message } });
}

/** Throws precondition_failed where the client has read another version. */
export function requireVersion(header: string | undefined, version: number | undefined): void {
  if (header === undefined || header === '*' || header === `"${version ?? 0}"`) return;
  throw new GatewayError('precondition_failed');
}
