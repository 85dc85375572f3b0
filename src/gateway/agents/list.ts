/**
 * ListTasks: which tasks a caller has is our index's to say, since agents know our credential only and not who asked; what they look like now is asked of the replica
 * that has each. So it works at agents of 0.3 too, which have no such method.
 */
import { ProtocolError } from '../../agents/a2a/protocol.ts';
import { objectOf, stateNamed } from '../../agents/a2a/read.ts';
import type { JsonObject } from '../../agents/a2a/methods.ts';
import { type AgentView, type TaskFilter, type TaskPage, type TaskRecord, isConversation } from '../../core/agent.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Answering } from './answer.ts';
import { asideAt } from './at-replica.ts';
import { type PageTokens, pageTokens } from './page-token.ts';
import { plainly } from './reach.ts';
import { deliverResult } from './reply.ts';
import { maySee, noteState, ownerOfCaller } from './tasks.ts';
import { upstreamOf } from './translated.ts';

const DEFAULT_PAGE = 50;
const MOST_PER_PAGE = 100;
/** Replicas are asked for so many tasks at once. */
const AT_ONCE = 8;

export async function answerList(answering: Answering): Promise<void> {
  const { exchange, response, side, work, finish } = answering;
  const { call, view } = work;
  if (call.version !== '1.0') throw new ProtocolError(-32004, 'Listing tasks is a method of A2A 1.0');
  const { historyLength, includeArtifacts } = readShape(call.params);
  const who = ownerOfCaller(exchange.caller!, exchange.endUser);
  const tokens = pageTokens(exchange.line.snapshot.pepper, { agent: view.name, owner: `${who.owner}\0${who.endUser ?? ''}` });
  const filter = filterOf(call.params, view, { owner: who.owner, tokens });
  const page = (await side.ask({ ask: 'tasks', ...filter })) as TaskPage;
  const seen = page.rows.filter((record) => !isConversation(record.task) && maySee(record, who, view.config.taskScope));
  const params = typeof historyLength === 'number' ? { historyLength } : {};
  const tasks = await inParallel(seen, (record) => taskNow(answering, record, params));
  const shown = tasks
    .filter((task) => task !== undefined)
    .filter((task) => filter.state === undefined || stateOf(task) === filter.state)
    .sort(latestFirst)
    .map((task) => (includeArtifacts === true ? task : withoutArtifacts(task)));
  finish();
  await deliverResult(exchange, response, call, {
    tasks: shown,
    nextPageToken: page.next === undefined ? '' : tokens.seal(page.next),
    pageSize: filter.limit,
    totalSize: shown.length,
  });
}

/** How much of each task is shown. Throws -32602. */
function readShape({ historyLength = null, includeArtifacts = null }: JsonObject): JsonObject {
  const isLength = typeof historyLength === 'number' && Number.isInteger(historyLength) && historyLength >= 0;
  if (historyLength !== null && !isLength) throw new ProtocolError(-32602, 'historyLength must be a whole number from 0');
  if (includeArtifacts !== null && typeof includeArtifacts !== 'boolean')
    throw new ProtocolError(-32602, 'includeArtifacts must be true or false');
  return { historyLength, includeArtifacts };
}

/** What a client asks for, of what is his. Throws -32602. */
function filterOf(
  { pageSize = DEFAULT_PAGE, pageToken, status, statusTimestampAfter, contextId }: JsonObject,
  view: AgentView,
  { owner, tokens }: { owner: string; tokens: PageTokens },
): TaskFilter {
  if (typeof pageSize !== 'number' || !Number.isInteger(pageSize) || pageSize < 1 || pageSize > MOST_PER_PAGE) {
    throw new ProtocolError(-32602, `pageSize must be a whole number from 1 to ${MOST_PER_PAGE}`);
  }
  const after = typeof pageToken === 'string' && pageToken !== '' ? tokens.open(pageToken) : '';
  if (after === undefined) throw new ProtocolError(-32602, 'pageToken is none that was given here');
  return {
    agent: view.name,
    ...(view.config.taskScope === 'principal' && { owner }),
    ...inState(status),
    ...sinceOf(statusTimestampAfter),
    ...given('context', contextId),
    ...given('after', after),
    limit: pageSize,
  };
}

/** Throws -32602. */
function inState(status: unknown): { state?: string } {
  if (isThereNo(status)) return {};
  const state = stateNamed(status);
  if (state !== undefined && STATES.has(state)) return state === 'unspecified' ? {} : { state };
  throw new ProtocolError(-32602, 'status must be a state of tasks such as TASK_STATE_WORKING');
}

const STATES = new Set([
  'unspecified',
  'submitted',
  'working',
  'completed',
  'failed',
  'canceled',
  'input-required',
  'rejected',
  'auth-required',
]);

function isThereNo(value: unknown): boolean {
  return value === undefined || value === null || value === '';
}

/** A time of RFC 3339. Throws -32602. */
function sinceOf(time: unknown): { sinceMs?: number } {
  if (isThereNo(time)) return {};
  const sinceMs = typeof time === 'string' && /^\d{4}-\d\d-\d\dT/.test(time) ? Date.parse(time) : NaN;
  if (Number.isNaN(sinceMs)) throw new ProtocolError(-32602, 'statusTimestampAfter must be a time such as 2026-01-31T12:00:00Z');
  return { sinceMs };
}

/** The empty text is how protobuf writes what is absent. */
function given(name: 'context' | 'after', value: unknown): { context?: string; after?: string } {
  return typeof value === 'string' && value !== '' ? { [name]: value } : {};
}

/** Undefined: its replica does not know it any more, or cannot be asked now. */
async function taskNow(answering: Answering, record: TaskRecord, params: object): Promise<Record<string, unknown> | undefined> {
  const { exchange, side, work } = answering;
  // Nobody reads the rest.
  if (exchange.gone) return undefined;
  const replica = work.view.replicas.find(({ id }) => id === record.replica);
  if (replica === undefined) return undefined;
  const upstream = upstreamOf(asideAt(answering, replica));
  try {
    const answer = await side.translator.translate(
      { version: '1.0', operation: 'get', params: { ...params, id: record.task } },
      upstream,
    );
    const task = 'result' in answer ? objectOf(answer.result) : undefined;
    const taskState = task && stateOf(task);
    if (taskState !== undefined) noteState(exchange, { ...work, record, task: record.task, taskState }, side);
    return task;
  } catch (thrown) {
    const error = plainly(thrown);
    if (error instanceof ProtocolError || error instanceof GatewayError) return undefined;
    throw thrown;
  }
}

function stateOf({ status }: Record<string, unknown>): string | undefined {
  return stateNamed(objectOf(status)?.state);
}

/** Within a page, by what the agents say now: tasks may have gone on since we last heard of them. */
function latestFirst(a: Record<string, unknown>, b: Record<string, unknown>): number {
  return atOf(b) - atOf(a);
}

function atOf({ status }: Record<string, unknown>): number {
  const { timestamp } = objectOf(status) ?? {};
  const atMs = typeof timestamp === 'string' ? Date.parse(timestamp) : 0;
  return Number.isNaN(atMs) ? 0 : atMs;
}

function withoutArtifacts(task: Record<string, unknown>): Record<string, unknown> {
  const { artifacts: _, ...rest } = task;
  return rest;
}

async function inParallel<Item, Result>(items: readonly Item[], each: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  const waiting = items.entries();
  const work = async (): Promise<void> => {
    for (const [index, item] of waiting) results[index] = await each(item);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, work));
  return results;
}
