/** Which agents somebody sees, and how much of each. */
import type { AgentEntry } from '../../agents/entry.ts';
import { type AgentFilter, selectAgents } from '../../agents/select.ts';
import { type AgentState, agentProviderNamed, coversAgent } from '../../core/agent.ts';
import { GatewayError } from '../../core/errors.ts';
import { compact } from '../../core/read.ts';
import { READERS, holdsAt } from '../contract/access.ts';
import type { Actor } from '../contract/actor.ts';
import type { Services } from '../contract/ports.ts';
import { fillSpent } from '../spent.ts';
import { type AgentShown, callerView, operatorView } from './view.ts';

export interface ListQuery {
  after?: string;
  limit: number;
  tag?: string[];
  q?: string;
  state?: AgentState;
  effective_state?: AgentState;
  available?: boolean;
  enabled?: boolean;
  skill?: string;
  provider?: string;
}

export interface Page {
  data: AgentShown[];
  next: string | null;
}

/** One page of what the actor may see. */
export async function listAgents(actor: Actor, query: ListQuery, services: Services): Promise<Page> {
  const { after, limit, q } = query;
  const entries = services.agents.service.registry.list().filter((entry) => maySee(actor, entry));
  const selected = selectAgents(entries, filterOf(query));
  const start = q === undefined ? startBehind(selected, after) : Number(after ?? 0);
  const page = Number.isSafeInteger(start) && start >= 0 ? selected.slice(start, start + limit) : [];
  const last = page.at(-1);
  const isLast = last === undefined || start + page.length >= selected.length;
  const next = q === undefined ? last?.config.name : String(start + page.length);
  const data = await withSpent(
    page.map((entry) => seenBy(actor, entry, services)),
    services,
  );
  return { data, next: isLast ? null : (next ?? null) };
}

/** Of a list by name the cursor says behind which name; a ranked one has no such order, so there it says how far it was read. */
function startBehind(entries: readonly AgentEntry[], after: string | undefined): number {
  const found = entries.findIndex(({ config }) => after === undefined || config.name > after);
  return found === -1 ? entries.length : found;
}

function filterOf({ tag, q, effective_state, provider, state, available, enabled, skill }: ListQuery): AgentFilter {
  return compact({
    state,
    available,
    enabled,
    skill,
    tags: tag,
    text: q,
    effectiveState: effective_state,
    provider: provider === undefined ? undefined : (agentProviderNamed(provider) ?? provider),
  });
}

function maySee(actor: Actor, { config }: AgentEntry): boolean {
  if (actor.kind !== 'caller') return holdsAt(actor, {}, READERS);
  return actor.grants.every((grants) => coversAgent(grants, config));
}

/** Throws not_found: what is not there and what the caller may not use look alike. */
export function visible(actor: Actor, name: string, services: Services): AgentEntry {
  const entry = services.agents.service.registry.get(name);
  if (entry === undefined || !maySee(actor, entry)) throw notFound(name);
  return entry;
}

/** Throws not_found. */
export function found(name: string, services: Services): AgentEntry {
  const entry = services.agents.service.registry.get(name);
  if (entry === undefined) throw notFound(name);
  return entry;
}

function notFound(name: string): GatewayError {
  return new GatewayError('not_found', { details: { message: `Agent not found: ${name.slice(0, 64)}` } });
}

/** As the actor may see it. */
export function seenBy(actor: Actor, entry: AgentEntry, services: Services): AgentShown {
  return actor.kind === 'caller' ? callerView(entry, { baseUrl: services.agents.baseUrl() }) : shownOf(entry, services);
}

/** The same, with what is spent of their budgets. */
export async function withSpent(shown: AgentShown[], { store, nowMs }: Services): Promise<AgentShown[]> {
  const ruled = shown.flatMap(({ name, budgets = [] }) => ({ scope: `agent:${name}` as const, budgets }));
  // How agents are must be seen while the store is down, too.
  await fillSpent(ruled, { ledger: store.ledger, nowMs: nowMs() }).catch(() => undefined);
  return shown;
}

export function shownOf(entry: AgentEntry, { agents }: Services): AgentShown {
  const version = entry.origin === 'api' ? agents.service.stored(entry.config.name)?.version : undefined;
  return operatorView(entry, { baseUrl: agents.baseUrl(), version });
}
