/** Which replica of an agent a call goes to: that of its task, else one that may take new work, by the power of two choices. */
import type { AgentView, ReplicaView } from '../../core/agent.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Exchange } from '../exchange.ts';
import type { AgentSide, ReplicaLoads } from './side.ts';

/** Nobody has looked at it yet: that is done first, once for all who ask meanwhile. */
export async function lookedAt(side: AgentSide, view: AgentView): Promise<AgentView> {
  if (!view.config.enabled || view.replicas.every(({ state }) => state !== 'unknown')) return view;
  await side.ask({ ask: 'look', agent: view.name });
  return side.book.get(view.name) ?? view;
}

/** The replica that has a task. Throws task_owner_unavailable where it is not one of the agent's any more. */
export function ownerOf(view: AgentView, replicaId: string): ReplicaView {
  const replica = view.replicas.find(({ id }) => id === replicaId);
  if (replica !== undefined) return replica;
  const message = `The task lives on the replica \`${replicaId}\` of the agent \`${view.name}\`, which is gone`;
  throw new GatewayError('task_owner_unavailable', { details: { message, retryAfterS: 30 } });
}

/**
 * For new work. An Unhealthy replica gets one send per interval, which finds out. Throws agent_disabled, agent_unavailable.
 */
export async function chooseReplica({ plane }: Exchange, view: AgentView, { side, tried }: Choosing): Promise<Chosen> {
  requireEnabled(view);
  const known = openOf(view, tried);
  const picked = pickFrom(view, known, { loads: side.loads, random: plane.random });
  if (picked !== undefined) return { replica: picked };
  for (const replica of known.filter(({ state }) => state === 'unhealthy')) {
    if ((await side.ask({ ask: 'trial', agent: view.name, replica: replica.id })) === true) return { replica, trial: true };
  }
  // Somebody else's trial may have found it well meanwhile.
  const now = side.book.get(view.name) ?? view;
  const found = pickFrom(now, openOf(now, tried), { loads: side.loads, random: plane.random });
  if (found !== undefined) return { replica: found };
  throw unavailable(now, plane.nowMs());
}

export interface Choosing {
  side: AgentSide;
  /** Replicas that did not take it. */
  tried: ReadonlySet<string>;
}

export interface Chosen {
  replica: ReplicaView;
  /** It is Unhealthy, and this send finds out. */
  trial?: true;
}

function openOf({ replicas }: AgentView, tried: ReadonlySet<string>): ReplicaView[] {
  return replicas.filter(({ id, drain }) => !drain && !tried.has(id));
}

function pickFrom(view: AgentView, open: readonly ReplicaView[], picking: Omit<Picking, 'agent'>): ReplicaView | undefined {
  for (const group of inGroups(view, open)) {
    const found = pickOf(group, { ...picking, agent: view.name });
    if (found !== undefined) return found;
  }
  return undefined;
}

/** In the order they are asked: those without any doubt, those in doubt, and those that are down only by their answers where nothing else is left. */
function inGroups({ config, replicas }: AgentView, open: readonly ReplicaView[]): ReplicaView[][] {
  const isSure = ({ state, reason }: ReplicaView): boolean =>
    state === 'healthy' || (state === 'degraded' && reason === 'unverified');
  // The last of several goes out only where it cannot be reached at all.
  const mayBeLast = ({ state, reason }: ReplicaView): boolean =>
    state === 'unhealthy' && (config.failOpen || (replicas.length > 1 && reason === 'errors'));
  return [
    open.filter(isSure),
    open.filter((each) => each.state === 'degraded' && !isSure(each)),
    open.filter(({ state }) => state === 'unknown'),
    open.filter(mayBeLast),
  ];
}

interface Picking {
  agent: string;
  loads: ReplicaLoads;
  random: () => number;
}

/** Two by their weights, the less busy of them; Mitzenmacher 2001. */
function pickOf(group: readonly ReplicaView[], { agent, loads, random }: Picking): ReplicaView | undefined {
  if (group.length < 2) return group[0];
  const one = byWeight(group, random());
  const other = byWeight(
    group.filter((each) => each !== one),
    random(),
  );
  const cost = ({ id }: ReplicaView): number => loads.costOf(`${agent}/${id}`);
  return cost(other) < cost(one) ? other : one;
}

/** All weights 0: all alike. */
function byWeight(group: readonly ReplicaView[], chance: number): ReplicaView {
  const total = group.reduce((sum, { weight }) => sum + weight, 0);
  if (total === 0) return group[Math.floor(chance * group.length)]!;
  let left = chance * total;
  for (const replica of group) if ((left -= replica.weight) < 0) return replica;
  return group.at(-1)!;
}

/** Throws agent_disabled. */
export function requireEnabled({ name, config, state }: AgentView): void {
  if (config.enabled && state !== 'disabled') return;
  throw new GatewayError('agent_disabled', { details: { message: `The agent \`${name}\` is disabled: it takes no new work` } });
}

const MOST_RETRY_S = 300;

function unavailable({ name, state, reason, nextProbeAtMs }: AgentView, nowMs: number): GatewayError {
  const retryAfterS = Math.min(MOST_RETRY_S, Math.max(1, Math.ceil((nextProbeAtMs - nowMs) / 1_000)));
  const why = reason === undefined ? state : `${state}: ${reason}`;
  const message = `The agent \`${name}\` is not available (${why}). Try again in ${retryAfterS} s`;
  return new GatewayError('agent_unavailable', { details: { message, retryAfterS } });
}
