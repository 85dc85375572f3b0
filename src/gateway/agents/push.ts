/**
 * Push notifications as clients ask for them: the gateway keeps where they want to be told, and gives the agent a place of its own with a token of its own. What there is
 * and what is not is the gateway's to say; the agent only hears where to post.
 */
import { taskNotFound, ProtocolError } from '../../agents/a2a/protocol.ts';
import { type OwnPush, configIdOf, listIn, ownAlong, ownFor, shownIn, wishAlong, wishOf } from '../../agents/a2a/push-words.ts';
import { type JsonObject, methodOf } from '../../agents/a2a/methods.ts';
import { objectOf } from '../../agents/a2a/read.ts';
import type { AgentView, TaskRecord } from '../../core/agent.ts';
import { GatewayError } from '../../core/errors.ts';
import type { PushMade, PushOwner, PushQuestion, PushShown } from '../../core/push.ts';
import type { Exchange } from '../exchange.ts';
import { type Answering, type TakeResults, answerCall } from './answer.ts';
import type { AgentCall, AgentWork } from './call.ts';
import { agentBase } from './card-route.ts';
import { askPush } from './push-bind.ts';
import { pushToken } from './push-token.ts';
import { sendResult } from './reply.ts';
import type { AgentSide } from './side.ts';

/** A call about push configurations; the task is the caller's. */
export async function answerPush(answering: Answering, who: PushOwner): Promise<void> {
  const { exchange, response, side, work, finish } = answering;
  const { call, view, record } = work;
  if (record === undefined) throw taskNotFound();
  const of = { agent: view.name, task: record.task };
  const configId = configIdOf(call, call.params);
  let result: unknown = null;
  if (call.operation === 'push_create') result = await create(answering, record, who);
  else if (call.operation === 'push_delete') await remove(answering, { ...of, configId });
  else {
    const shown = (await askPush(side, { ask: 'push_list', ...of })) as PushShown[];
    const one = shown.find(({ id }) => id === (configId === '' ? record.task : configId));
    if (call.operation === 'push_get' && one === undefined) throw taskNotFound();
    result = one !== undefined && call.operation === 'push_get' ? shownIn(call, one) : listIn(call, shown);
  }
  work.answered = true;
  finish();
  sendResult(exchange, response, call, result);
}

async function create(answering: Answering, { task, replica }: TaskRecord, who: PushOwner): Promise<unknown> {
  const { exchange, side, work } = answering;
  const { call, view } = work;
  const { configId, target } = wishOf(call.version, call.params);
  const { version } = call;
  const { push, isNew } = await made(side, {
    ask: 'push_create',
    agent: view.name,
    task,
    replica,
    configId,
    version,
    target,
    who,
  });
  try {
    await tellAgent(answering, 'push_create', ownFor(task, ownPush(exchange, view, push)));
  } catch (thrown) {
    if (isNew) await askPush(side, { ask: 'push_remove', agent: view.name, task, configId });
    throw thrown;
  }
  const id = configId === '' ? task : configId;
  return shownIn(call, { id, task, url: target.url, ...(target.scheme !== undefined && { scheme: target.scheme }) });
}

/** Nothing more comes of it, whether the agent can be told or not: what it posts there finds nobody. */
async function remove(answering: Answering, of: { agent: string; task: string; configId: string }): Promise<void> {
  const push = (await askPush(answering.side, { ask: 'push_remove', ...of })) as string | undefined;
  // Deleting twice is as deleting once (1.0 §3.1.10).
  if (push === undefined) return;
  try {
    await tellAgent(answering, 'push_delete', { taskId: of.task, id: push });
  } catch (thrown) {
    if (!(thrown instanceof ProtocolError || thrown instanceof GatewayError)) throw thrown;
  }
}

async function made(side: AgentSide, question: PushQuestion): Promise<Exclude<PushMade, { refused: string }>> {
  const answer = (await askPush(side, question)) as PushMade;
  if ('refused' in answer) throw new ProtocolError(-32602, answer.refused);
  return answer;
}

/** The call of ours in place of the client's, in the words of 1.0; translated where the agent has others. */
async function tellAgent(answering: Answering, operation: 'push_create' | 'push_delete', params: JsonObject): Promise<void> {
  const { work } = answering;
  const asked = work.call;
  const { refs } = asked;
  work.call = { form: 'rpc', version: '1.0', operation, rpcId: 1, params, refs, streams: false, bytes: undefined };
  const take: TakeResults = async (results) => {
    for await (const _ of results);
  };
  try {
    await answerCall({ ...answering, take });
  } finally {
    work.call = asked;
  }
}

function ownPush(exchange: Exchange, view: AgentView, id: string): OwnPush {
  const { pepper } = exchange.line.snapshot;
  return { id, url: `${agentBase(exchange, view.name)}/push/${id}`, token: pushToken(pepper, view.name, id) };
}

/** A send that wants to be told of its task: the client's place stays here, ours goes on in its stead. */
export async function takePushAlong(exchange: Exchange, side: AgentSide, work: AgentWork, who: PushOwner): Promise<void> {
  const { call, view, record } = work;
  if (!call.refs.wantsPush) return;
  const configuration = objectOf(call.params.configuration) ?? {};
  const { configId, target } = wishAlong(configuration);
  const { task } = call.refs;
  const { push } = await made(side, {
    ask: 'push_create',
    agent: view.name,
    ...(task !== undefined && { task }),
    ...(record !== undefined && { replica: record.replica }),
    configId,
    version: call.version,
    target,
    who,
  });
  if (task === undefined) work.push = push;
  work.call = withConfiguration(call, ownAlong(call, configuration, ownPush(exchange, view, push)));
}

function withConfiguration(call: AgentCall, configuration: JsonObject): AgentCall {
  const params = { ...call.params, configuration };
  const { version, operation, rpcId: id, rest } = call;
  const body = rest === undefined ? { jsonrpc: '2.0', id, method: methodOf(version, operation), params } : params;
  return { ...call, params, bytes: Buffer.from(JSON.stringify(body)), ...(rest !== undefined && { rest: { ...rest, body } }) };
}
