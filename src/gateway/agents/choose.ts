/** Which replica of an agent a call goes to: that of its task, else one that may take new work, by the power of two choices. */
import { type AgentView, type ReplicaView, isReachable } from '../../core/agent.ts';
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
 * For new work. An Unhealthy replica gets one send per interval, which finds out. Throws agent_disabled, agent_unavailable, and task_owner_unavailable where it is
 * work of a conversation.
 */
export async function chooseReplica({ plane }: Exchange, view: AgentView, choosing: Choosing): Promise<Chosen> {
  requireEnabled(view);
  const { side } = choosing;
  const picking = { ...choosing, random: plane.random };
  const picked = pickFrom(view, picking);
  if (picked !== undefined) return { replica: picked };
  for (const replica of openOf(view, choosing).filter(({ state }) => state === 'unhealthy')) {
    if ((await side.ask({ ask: 'trial', agent: view.name, replica: replica.id })) === true) return { replica, trial: true };
  }
  // Somebody else's trial may have found it well meanwhile.
  const now = side.book.get(view.name) ?? view;
  const found = pickFrom(now, picking);
  if (found !== undefined) return { replica: found };
  throw unavailable(now, choosing, plane.nowMs());
}

export interface Choosing {
  side: AgentSide;
  /** Replicas that did not take it. */
  tried: ReadonlySet<string>;
  /** The replica that has the conversation: what was said before is nowhere else. */
  only?: string;
}

export interface Chosen {
  replica: ReplicaView;
  /** It is Unhealthy, and this send finds out. */
  trial?: true;
}

/** One that drains takes no new conversations; those that it has go on. */
function openOf({ replicas }: AgentView, { tried, only }: Choosing): ReplicaView[] {
  return replicas.filter(({ id, drain }) => (only === undefined ? !drain : id === only) && !tried.has(id));
}

function pickFrom(view: AgentView, { random, ...choosing }: Choosing & { random: () => number }): ReplicaView | undefined {
  for (const group of inGroups(view, choosing)) {
    const found = pickOf(group, { agent: view.name, loads: choosing.side.loads, random });
    if (found !== undefined) return found;
  }
  return undefined;
}

/** In the order they are asked: those without any doubt, those in doubt, and those that are down only by their answers where nothing else is left. */
function inGroups(view: AgentView, choosing: Choosing): ReplicaView[][] {
  const { config, replicas } = view;
  const open = openOf(view, choosing);
  const isSure = ({ state, reason }: ReplicaView): boolean =>
    state === 'healthy' || (state === 'degraded' && reason === 'unverified');
  // The last of several goes out only where it cannot be reached at all.
  const mayBeLast = ({ state, reason }: ReplicaView): boolean =>
    state === 'unhealthy' && (config.failOpen || (choosing.only === undefined && replicas.length > 1 && isReachable(reason)));
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

/** Drawn twice by weight, the less busy for its weight of the two; Mitzenmacher 2001. Whoever is drawn twice is it: among the idle, work is shared as the weights say. */
function pickOf(group: readonly ReplicaView[], { agent, loads, random }: Picking): ReplicaView | undefined {
  if (group.length < 2) return group[0];
  const one = byWeight(group, random());
  const other = byWeight(group, random());
  const load = ({ id, weight }: ReplicaView): number => loads.underWay(`${agent}/${id}`) / (weight === 0 ? 1 : weight);
  return load(other) < load(one) ? other : one;
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

function unavailable(view: AgentView, { only }: Choosing, nowMs: number): GatewayError {
  const { name, nextProbeAtMs } = view;
  const retryAfterS = Math.min(MOST_RETRY_S, Math.max(1, Math.ceil((nextProbeAtMs - nowMs) / 1_000)));
  const owner = view.replicas.length < 2 ? undefined : view.replicas.find(({ id }) => id === only);
  const who = `The ${owner === undefined ? '' : `replica \`${owner.id}\` of the `}agent \`${name}\`${owner === undefined ? '' : ', which has the conversation,'}`;
  const { state, reason } = owner ?? view;
  const why = reason === undefined ? state : `${state}: ${reason}`;
  const message = `${who} is not available (${why}). Try again in ${retryAfterS} s`;
  return new GatewayError(owner === undefined ? 'agent_unavailable' : 'task_owner_unavailable', {
    details: { message, retryAfterS },
  });
}
