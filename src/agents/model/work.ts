/** From a message to its task: what the model is told, how its answer becomes an artifact, and how the task ends. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { AgentConfig, ModelBehind } from '../../core/agent.ts';
import { BEHIND, CALLERS_HEADERS, MODEL_AGENTS_URL } from '../../core/agent-behind.ts';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import type { Send } from '../../upstream/send.ts';
import { ProtocolError, taskNotFound } from '../a2a/protocol.ts';
import type { JsonObject } from '../a2a/methods.ts';
import { objectOf } from '../a2a/read.ts';
import { type OpenChat, openChat } from './chat.ts';
import type { Conversations } from './conversations.ts';
import { type ChatSaid, keptMessage, requireText, saidIn, takenBy } from './message.ts';
import { type ModelTask, createTask } from './task.ts';
import type { TaskBook } from './task-book.ts';

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

export interface WorkParts {
  send: Send;
  /** The socket of a worker, by its slot. */
  socketOf: (worker: number) => string;
  newId: () => string;
  nowMs: () => number;
  tasks: TaskBook;
  conversations: Conversations;
  /** How to end the chats of tasks at work. */
  chats: WeakMap<ModelTask, OpenChat>;
}

export type ModelAgent = AgentConfig & { model: ModelBehind };

/** What is refused by limits, budgets and guards is refused by then, and told as such; what comes to nothing later is a task that failed. */
const PATIENCE_MS = 1_000;
const MAX_TEXT = 8 * 1024 * 1024;
/** A piece of the artifact is what the model wrote within so long: a client gains nothing by an event for each token. */
const PIECE_MS = 40;

/** A task that is at work. `waits`: until the model answers, however long that takes. Throws ProtocolErrors, and the GatewayError that the chat comes to before it begins. */
export async function beginTask(
  parts: WorkParts,
  agent: ModelAgent,
  asked: { params: JsonObject; headers: Headers; waits: boolean },
): Promise<ModelTask> {
  const { params, headers, waits } = asked;
  const message = objectOf(params.message) ?? {};
  requireNewTask(parts, agent, message);
  requireText(objectOf(params.configuration) ?? {});
  const said = saidIn(message, takenBy(agent));
  if (!parts.tasks.hasRoom()) throw new GatewayError('overloaded', { details: { retryAfterS: 1 } });
  const { newId, nowMs } = parts;
  const ids = { taskId: newId(), contextId: textOf(message.contextId) ?? newId() };
  const key = `${agent.name}\n${String(headers[BEHIND.owner])}\n${ids.contextId}`;
  const chat = openChat(parts.send, {
    socketPath: parts.socketOf(Number(headers[BEHIND.worker])),
    headers: headersBehind(headers, agent.name),
    model: agent.model.name,
    messages: [...instructionsOf(agent), ...parts.conversations.of(key), said],
  });
  await (waits ? chat.begun : Promise.race([chat.begun, sleep(PATIENCE_MS, undefined, { ref: false })]));
  const task = createTask({ id: ids.taskId, contextId: ids.contextId, message: keptMessage(message, ids), newId, nowMs });
  parts.tasks.add(agent.name, task);
  parts.chats.set(task, chat);
  // After the client has been told of the task, whose first update comes with the model's first words.
  void run(parts, task, chat, (answer) => parts.conversations.add(key, [said, { role: 'assistant', content: answer }]));
  return task;
}

/** Every message is a task of its own; what belongs together has one context. */
function requireNewTask({ tasks }: WorkParts, { name }: ModelAgent, { taskId }: JsonObject): void {
  const id = textOf(taskId);
  if (id === undefined) return;
  const known = tasks.get(name, id);
  if (known === undefined) throw taskNotFound();
  const why = known.state === 'TASK_STATE_WORKING' ? 'is at work and takes no further message' : 'has ended';
  throw new ProtocolError(-32004, `The task ${why}. Go on in its context (contextId), without naming the task`);
}

function instructionsOf({ model: { instructions } }: ModelAgent): ChatSaid[] {
  return instructions === undefined ? [] : [{ role: 'system', content: instructions }];
}

function headersBehind(headers: Headers, agent: string): Record<string, string> {
  const passed = [...CALLERS_HEADERS, BEHIND.callerIp, BEHIND.endUser].flatMap((name) => {
    const value = headers[name];
    return typeof value === 'string' ? [[name, value]] : [];
  });
  return { ...Object.fromEntries(passed), [BEHIND.agent]: agent };
}

/** Follows the model to its end. Never rejects. `keep` hears what it said, if that was an answer, before anybody hears that it is over. */
async function run({ nowMs }: WorkParts, task: ModelTask, chat: OpenChat, keep: (answer: string) => void): Promise<void> {
  let waiting = '';
  let toldAtMs = 0;
  const tellLast = (isWhole: boolean): void => {
    if (waiting !== '' || (isWhole && task.text !== '')) task.add(waiting, isWhole);
  };
  try {
    const pieces = chat.pieces();
    let next = await pieces.next();
    for (; next.done !== true; next = await pieces.next()) {
      if (task.text.length + waiting.length > MAX_TEXT) throw tooLong(chat);
      if (waiting !== '' && nowMs() - toldAtMs >= PIECE_MS) {
        task.add(waiting, false);
        toldAtMs = nowMs();
        waiting = '';
      }
      waiting += next.value;
    }
    tellLast(true);
    if (next.value !== 'content_filter' && task.state === 'TASK_STATE_WORKING') keep(task.text);
    endAs(task, next.value);
  } catch (thrown) {
    tellLast(false);
    task.end('TASK_STATE_FAILED', sentenceOf(toGatewayError(thrown)));
  }
}

function endAs(task: ModelTask, finish: string): void {
  if (finish === 'content_filter') task.end('TASK_STATE_FAILED', 'The provider stopped the answer by its rules on content');
  else if (finish === 'length') task.end('TASK_STATE_COMPLETED', 'The answer ends where the model reached its limit of tokens');
  else task.end('TASK_STATE_COMPLETED');
}

function tooLong(chat: OpenChat): GatewayError {
  chat.abort();
  return new GatewayError('upstream_bad_response', { details: { message: `The answer is longer than ${MAX_TEXT} characters` } });
}

function sentenceOf({ code, message }: GatewayError): string {
  return code === 'internal' ? 'Something went wrong here' : `${message} (${code})`;
}

/** Throws -32001, -32002. */
export function cancelTask({ tasks, chats }: WorkParts, { name }: ModelAgent, id: string): ModelTask {
  const task = tasks.get(name, id);
  if (task === undefined) throw taskNotFound();
  if (task.state === 'TASK_STATE_CANCELED') return task;
  if (task.state !== 'TASK_STATE_WORKING') throw new ProtocolError(-32002, 'The task has ended');
  task.end('TASK_STATE_CANCELED');
  chats.get(task)?.abort();
  return task;
}

/** What its callers are shown is made of it, with our places in it. */
export function cardOf(agent: ModelAgent): JsonObject {
  const { name, description = `The agent ${name}`, tags, model } = agent;
  const inputs = takenBy(agent);
  const own = { id: name, name, description, tags: tags.length > 0 ? tags : ['chat'], examples: [] };
  return {
    name,
    description,
    version: '1',
    supportedInterfaces: [{ url: `${MODEL_AGENTS_URL}/${name}`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
    capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: false },
    defaultInputModes: inputs.map((type) => (type === 'text' ? 'text/plain' : type)),
    defaultOutputModes: ['text/plain'],
    skills: model.skills.length > 0 ? model.skills : [own],
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
