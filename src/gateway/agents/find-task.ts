/** A task that nobody here knows may be at any replica of its agent: all are asked, once. Only where tasks are everybody's, since whose it is nobody can tell. */
import { ProtocolError, taskNotFound } from '../../agents/a2a/protocol.ts';
import type { ReplicaView } from '../../core/agent.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Answering } from './answer.ts';
import { asideAt } from './at-replica.ts';
import type { AgentWork } from './call.ts';
import { upstreamOf } from './translated.ts';

const ABSENT_MS = 10_000;

/** Throws -32001 where it is nowhere; task_owner_unavailable where it could be at a replica that cannot be asked. */
export async function replicaWith(answering: Answering, task: string): Promise<ReplicaView> {
  const { name, replicas } = answering.work.view;
  requireNotAbsent(answering, task);
  const found = await Promise.all(replicas.map((replica) => hasTask(answering, replica, task)));
  const at = replicas[found.indexOf('yes')];
  if (at !== undefined) return at;
  if (!found.includes('unknown')) {
    noteAbsence(answering, task);
    throw taskNotFound();
  }
  const message = `The task could be at a replica of the agent \`${name}\` that cannot be asked now`;
  throw new GatewayError('task_owner_unavailable', { details: { message, retryAfterS: 5 } });
}

/** Throws -32001 where it was looked for lately. */
export function requireNotAbsent({ exchange, side, work }: Answering, task: string): void {
  if ((side.absent.get(keyOf(work, task)) ?? 0) > exchange.plane.nowMs()) throw taskNotFound();
}

export function noteAbsence({ exchange, side, work }: Answering, task: string): void {
  side.absent.set(keyOf(work, task), exchange.plane.nowMs() + ABSENT_MS);
}

function keyOf({ view }: AgentWork, task: string): string {
  return `${view.name}\n${task}`;
}

/** There is no such task, or no such thing as tasks. An agent with a fault of its own has said nothing of it. */
export function isAbsence(thrown: unknown): boolean {
  return thrown instanceof ProtocolError && ABSENCES.has(thrown.code);
}

const ABSENCES = new Set([-32001, -32004, -32601]);

async function hasTask(answering: Answering, replica: ReplicaView, task: string): Promise<'yes' | 'no' | 'unknown'> {
  if (replica.state === 'unhealthy') return 'unknown';
  try {
    const upstream = upstreamOf(asideAt(answering, replica));
    await answering.side.translator.translate(
      { version: answering.work.call.version, operation: 'get', params: { id: task, historyLength: 0 } },
      upstream,
    );
    return 'yes';
  } catch (thrown) {
    return isAbsence(thrown) ? 'no' : 'unknown';
  }
}
