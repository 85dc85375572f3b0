/** Whose a task is and where it lives. What a client is told of a new task is in the journal, and known to all workers, before. */
import { type AgentView, type TaskRecord, conversationTask } from '../../core/agent.ts';
import type { Caller } from '../../core/directory.ts';
import { ProtocolError, taskNotFound } from '../../agents/a2a/protocol.ts';
import { type CallRefs, type Seen, isTerminal } from '../../agents/a2a/read.ts';
import type { Exchange } from '../exchange.ts';
import type { AgentWork } from './call.ts';
import type { AgentSide } from './side.ts';

/** Who asks, as far as tasks are concerned. */
export interface TaskOwner {
  owner: string;
  team?: string;
  endUser?: string;
}

/** Child keys stand for their parent, keys of a person or a service for that. */
export function ownerOfCaller({ key, ancestors, principal, team }: Caller, endUser: string | undefined): TaskOwner {
  return {
    owner: principal === undefined ? `key:${(ancestors.at(-1) ?? key).id}` : `principal:${principal.id}`,
    ...(team !== undefined && { team: team.id }),
    ...(endUser !== undefined && { endUser }),
  };
}

export function maySee(
  record: TaskRecord,
  { owner, team, endUser }: TaskOwner,
  scope: AgentView['config']['taskScope'],
): boolean {
  if (scope === 'agent') return true;
  if (scope === 'team' && team !== undefined && record.team === team) return true;
  return record.owner === owner && (record.endUser === undefined || record.endUser === endUser);
}

/** The task of a call, if it is the caller's. Undefined: nobody knows it. Throws -32001 where it is somebody else's. */
export async function taskOf(side: AgentSide, view: AgentView, task: string, who: TaskOwner): Promise<TaskRecord | undefined> {
  const key = `${view.name}\n${task}`;
  const record = side.tasks.get(key) ?? ((await side.ask({ ask: 'task', agent: view.name, task })) as TaskRecord | undefined);
  return own(side, view, record, who);
}

/** The latest task of a context, by the same rules. */
async function taskOfContext(side: AgentSide, view: AgentView, context: string, who: TaskOwner): Promise<TaskRecord | undefined> {
  const record = (await side.ask({ ask: 'context', agent: view.name, context })) as TaskRecord | undefined;
  return own(side, view, record, who);
}

/**
 * Where the call's task or context lives. Throws -32001 where it is somebody else's, or where a task is nobody's; the same of the context beside a task, and of tasks that
 * the message only mentions: an agent may tell what was said there.
 */
export async function placeOf(
  side: AgentSide,
  view: AgentView,
  { task, context, mentions }: CallRefs,
  who: TaskOwner,
): Promise<TaskRecord | undefined> {
  const isOpen = view.config.taskScope === 'agent';
  const known = async (id: string): Promise<TaskRecord | undefined> => {
    const record = await taskOf(side, view, id, who);
    if (record === undefined && !isOpen) throw taskNotFound();
    return record;
  };
  if (!isOpen) for (const id of new Set(mentions)) await known(id);
  const found = task === undefined ? undefined : await known(task);
  if (context === undefined || found?.context === context) return found;
  if (found?.context !== undefined && !isOpen) throw taskNotFound();
  const record = await taskOfContext(side, view, context, who);
  return task === undefined ? record : found;
}

function own(side: AgentSide, view: AgentView, record: TaskRecord | undefined, who: TaskOwner): TaskRecord | undefined {
  if (record === undefined) return undefined;
  side.tasks.set(`${record.agent}\n${record.task}`, record);
  if (!maySee(record, who, view.config.taskScope)) throw taskNotFound();
  return record;
}

/**
 * An answer or an event tells of a task: a new one is written down and told to main before this resolves. What changes later is only noted; it is written when the
 * call is over.
 */
export async function learn(exchange: Exchange, work: AgentWork, seen: Seen | undefined, side: AgentSide): Promise<void> {
  if (seen === undefined) return;
  const { view, replica } = work;
  noteSeen(work, seen);
  const id = seen.task ?? conversationOf(work, seen);
  if (id === undefined || replica === undefined || work.task === id) return;
  work.task = id;
  if (work.record?.task === id) return;
  const known = side.tasks.get(`${view.name}\n${id}`);
  if (known !== undefined) {
    requireOwn(known, exchange, view);
    work.record = known;
  } else await writeDown(exchange, work, { id, replica: replica.id, seen }, side);
}

/** Where it does not say which conversation that was, it was the one that was asked for. */
function noteSeen(work: AgentWork, { context = work.context ?? work.call.refs.context, state }: Seen): void {
  if (context !== undefined) work.context = context;
  if (state !== undefined) work.taskState = state;
}

/** An answer that is no task still belongs to a conversation, whose next word must find the way. */
function conversationOf({ context }: AgentWork, { kind }: Seen): string | undefined {
  return kind === 'message' && context !== undefined ? conversationTask(context) : undefined;
}

interface Found {
  id: string;
  replica: string;
  seen: Seen;
}

async function writeDown(exchange: Exchange, work: AgentWork, { id, replica, seen }: Found, side: AgentSide): Promise<void> {
  const { plane, caller, endUser } = exchange;
  const { view, context } = work;
  const who = ownerOfCaller(caller!, endUser);
  const atMs = plane.nowMs();
  const record: TaskRecord = {
    agent: view.name,
    task: id,
    ...(context !== undefined && { context }),
    replica,
    ...who,
    state: seen.state ?? (seen.kind === 'message' ? 'message' : 'unknown'),
    createdAtMs: atMs,
    updatedAtMs: atMs,
  };
  plane.record({ kind: 'agent_task', id: exchange.id, atMs, record });
  await plane.commit();
  const inForce = (await side.ask({ ask: 'learn', record })) as TaskRecord;
  side.tasks.set(`${view.name}\n${id}`, inForce);
  if (inForce.owner !== record.owner || inForce.endUser !== record.endUser) await takeBack(exchange, record, inForce);
  requireOwn(inForce, exchange, view);
  work.record = inForce;
}

/** Main heard of another one's first. What stands in our journal may be the older word all the same, and the oldest counts after a restart: so that one's is made older. */
async function takeBack({ id, plane }: Exchange, ours: TaskRecord, inForce: TaskRecord): Promise<void> {
  const createdAtMs = Math.min(ours.createdAtMs, inForce.createdAtMs) - 1;
  plane.record({ kind: 'agent_task', id, atMs: plane.nowMs(), record: { ...inForce, createdAtMs } });
  await plane.commit();
}

/** An agent that names another one's task as its answer has mixed them up, or means harm. */
function requireOwn(record: TaskRecord, { caller, endUser }: Exchange, { config }: AgentView): void {
  if (maySee(record, ownerOfCaller(caller!, endUser), config.taskScope)) return;
  throw new ProtocolError(-32006, 'The agent answered with a task that is not yours');
}

/** The call is over: how its task stands now. */
export function noteState(exchange: Exchange, { record, task, taskState }: AgentWork, side: AgentSide): void {
  if (record === undefined || record.task !== task || taskState === undefined || record.state === taskState) return;
  if (isTerminal(record.state)) return;
  const atMs = exchange.plane.nowMs();
  const now: TaskRecord = { ...record, state: taskState, updatedAtMs: Math.max(atMs, record.updatedAtMs + 1) };
  side.tasks.set(`${now.agent}\n${now.task}`, now);
  exchange.plane.record({ kind: 'agent_task', id: exchange.id, atMs, record: now });
  side.ask({ ask: 'learn', record: now }).catch(() => undefined);
}
