/** Which replica of an agent a call goes to: that of its task, else one that may take new work, by the power of two choices. */
import type { AgentView, ReplicaView } from '../../core/agent.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Exchange } from '../exchange.ts';
import type { AgentSide, ReplicaLoads } from './side.ts';

/** The replica that has a task. Throws task_owner_unavailable where it is not one of the agent's any more. */
export function ownerOf(view: AgentView, replicaId: string): ReplicaView {
  const replica = view.replicas.find(({ id }) => id === replicaId);
  if (replica !== undefined) return replica;
  const message = `The task lives on the replica \`${replicaId}\` of the agent \`${view.name}\`, which is gone`;
  throw new GatewayError('task_owner_unavailable', { details: { message, retryAfterS: 30 } });
}

/**
 * For new work. `tried`: replicas that did not take it. An Unhealthy replica gets one send per interval, which finds out. Throws agent_disabled, agent_unavailable.
 */
export async function chooseReplica(
  { plane }: Exchange,
  view: AgentView,
  { side, tried }: { side: AgentSide; tried: ReadonlySet<string> },
): Promise<ReplicaView> {
  if (!view.config.enabled || view.state === 'disabled') throw disabled(view.name);
  const open = view.replicas.filter(({ id, drain }) => !drain && !tried.has(id));
  for (const group of inGroups(view, open)) {
    const found = pickOf(group, { agent: view.name, loads: side.loads, random: plane.random });
    if (found !== undefined) return found;
  }
  for (const replica of open.filter(({ state }) => state === 'unhealthy')) {
    if ((await side.ask({ ask: 'trial', agent: view.name, replica: replica.id })) === true) return replica;
  }
  throw unavailable(view, plane.nowMs());
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

function disabled(name: string): GatewayError {
  return new GatewayError('agent_disabled', { details: { message: `The agent \`${name}\` is disabled: it takes no new work` } });
}

const MOST_RETRY_S = 300;

function unavailable({ name, state, reason, nextProbeAtMs }: AgentView, nowMs: number): GatewayError {
  const retryAfterS = Math.min(MOST_RETRY_S, Math.max(1, Math.ceil((nextProbeAtMs - nowMs) / 1_000)));
  const why = reason === undefined ? state : `${state}: ${reason}`;
  const message = `The agent \`${name}\` is not available (${why}). Try again in ${retryAfterS} s`;
  return new GatewayError('agent_unavailable', { details: { message, retryAfterS } });
}
