/** What agents post to the places that they were given: proven by its token, matched with its task, durable before it is answered. */
import { isAppended } from '../../agents/a2a/push-body.ts';
import type { JsonObject } from '../../agents/a2a/methods.ts';
import { type Seen, isTerminal, objectOf, seenIn } from '../../agents/a2a/read.ts';
import type { AgentView, TaskRecord } from '../../core/agent.ts';
import { GatewayError } from '../../core/errors.ts';
import type { PushPlace } from '../../core/push.ts';
import type { EdgeRequest, Route } from '../../http/edge.ts';
import type { Plane } from '../plane.ts';
import { askPush } from './push-bind.ts';
import { presentsToken, pushToken } from './push-token.ts';
import type { AgentSide } from './side.ts';
import { maySee } from './tasks.ts';

const MAX_BYTES = 1024 * 1024;
/** For a push of which as many wait as may. */
const FULL_S = 30;

export function pushRoute(plane: Plane, side: AgentSide): Route {
  return {
    method: 'POST',
    path: '/a2a/{agent}/push/{push}',
    policy: { access: 'public', body: 'json', errors: 'plain' },
    async handle(request, response) {
      await takeIn(plane, side, request);
      response.writeHead(204, { 'x-request-id': request.id }).end();
    },
  };
}

async function takeIn(plane: Plane, side: AgentSide, request: EdgeRequest): Promise<void> {
  const { agent = '', push = '' } = request.params;
  if (!presentsToken(request.headers, pushToken(plane.line().snapshot.pepper, agent, push))) {
    throw new GatewayError('invalid_key', { details: { message: 'The token is not the one that belongs to this place' } });
  }
  const body = parsed(await request.body(MAX_BYTES));
  const noting = await notingOf(side, { agent, push, seen: seenIn(body) });
  const { place, task } = noting;
  await noteTask(plane, side, noting);
  if (place.task === undefined) await askPush(side, { ask: 'push_bind', push, task });
  const told = await side.pushBodies.inVersion(place.version, body).catch((cause: unknown) => {
    throw new GatewayError('invalid_request', { cause, details: { message: 'This is no notification of A2A' } });
  });
  const outcome = await askPush(side, { ask: 'push_came', push, owner: place.owner, body: told, repeats: isAppended(body) });
  if (outcome === 'gone') throw new GatewayError('not_found');
  if (outcome === 'full') throw new GatewayError('overloaded', { details: { retryAfterS: FULL_S } });
}

function parsed(bytes: Buffer): JsonObject {
  try {
    const body = objectOf(JSON.parse(bytes.toString('utf8')));
    if (body !== undefined) return body;
  } catch {
    // Told below.
  }
  throw new GatewayError('invalid_json');
}

interface Noting {
  view: AgentView;
  place: PushPlace;
  seen: Seen;
  task: string;
}

/** Throws not_found where there is no such place, or it is of another task. */
async function notingOf(
  side: AgentSide,
  { agent, push, seen }: { agent: string; push: string; seen: Seen | undefined },
): Promise<Noting> {
  const place = (await askPush(side, { ask: 'push_place', agent, push })) as PushPlace | undefined;
  const view = side.book.get(agent);
  const task = seen?.task;
  const isThere = place !== undefined && view !== undefined && seen !== undefined && task !== undefined;
  if (!isThere || (place.task ?? task) !== task) throw new GatewayError('not_found');
  return { view, place, seen, task };
}

/** As an event of a stream would tell it: a task that nobody knew is known, and so is how it stands, before the client hears of it. */
async function noteTask(plane: Plane, side: AgentSide, { view, place, seen, task }: Noting): Promise<void> {
  const known = (await askPush(side, { ask: 'task', agent: view.name, task })) as TaskRecord | undefined;
  const record = known ?? born({ view, place, seen, task }, plane.nowMs());
  // Another one's task, or one that is forgotten: an agent that mixes them up learns nothing of it.
  if (record === undefined || !maySee(record, place, view.config.taskScope)) throw new GatewayError('not_found');
  const { state = record.state } = seen;
  if (known !== undefined && (state === known.state || isTerminal(known.state))) return;
  const atMs = plane.nowMs();
  const now: TaskRecord = { ...record, state, updatedAtMs: known === undefined ? atMs : Math.max(atMs, known.updatedAtMs + 1) };
  plane.record({ kind: 'agent_task', id: plane.exchangeId(atMs), atMs, record: now });
  await plane.commit();
  const inForce = (await askPush(side, { ask: 'learn', record: now })) as TaskRecord;
  side.tasks.set(`${inForce.agent}\n${inForce.task}`, inForce);
  if (!maySee(inForce, place, view.config.taskScope)) throw new GatewayError('not_found');
}

/** Of a message that is still under way, the first word may come here. */
function born({ view, place, seen, task }: Noting, atMs: number): TaskRecord | undefined {
  const { task: bound, replica, owner, team, endUser } = place;
  if (bound !== undefined || replica === undefined) return undefined;
  return {
    agent: view.name,
    task,
    ...(seen.context !== undefined && { context: seen.context }),
    replica,
    owner,
    ...(team !== undefined && { team }),
    ...(endUser !== undefined && { endUser }),
    state: seen.state ?? 'unknown',
    createdAtMs: atMs,
    updatedAtMs: atMs,
  };
}
