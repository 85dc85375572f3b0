/** The agents of the conformance suite, behind a gateway and without one. */
import { randomUUID } from 'node:crypto';

import { AGENT_KEYS, type AgentBox, startAgentBox } from './agent-box.ts';
import { type TckAgent, type TckAgentOptions, startTckAgent } from './a2a-tck-agent.ts';
import { type Answer, type Place, type Wire, ask, resultOf, taskIn } from './a2a-tck-wire.ts';

export const REQUIRED_EXTENSION = 'urn:a2a:tck:required-extension';

/** What the suite needs an agent to have, or to lack. */
const AGENTS = {
  tck: { streaming: true, push: true, extendedCard: 'there' },
  'tck-bare': { streaming: false, push: false, extendedCard: 'none' },
  'tck-announced': { streaming: true, push: false, extendedCard: 'announced' },
  'tck-strict': { streaming: true, push: false, extendedCard: 'none', requiredExtension: REQUIRED_EXTENSION },
} as const satisfies Record<string, Omit<TckAgentOptions, 'name'>>;
export type TckName = keyof typeof AGENTS;

/** Through whom a requirement is asked for: 1.0 of the agent itself too, to tell its faults from ours. */
export interface Subject extends Wire {
  via: 'through the gateway' | 'directly';
}

const via = 'through the gateway';
export const GATEWAY_RPC: Subject = { via, form: 'JSON-RPC', version: '1.0' };
export const GATEWAY_REST: Subject = { via, form: 'REST', version: '1.0' };
export const GATEWAY_10: readonly Subject[] = [GATEWAY_RPC, GATEWAY_REST];
export const GATEWAY: readonly Subject[] = [
  ...GATEWAY_10,
  { via, form: 'JSON-RPC', version: '0.3' },
  { via, form: 'REST', version: '0.3' },
];
export const DIRECT: readonly Subject[] = [
  { via: 'directly', form: 'JSON-RPC', version: '1.0' },
  { via: 'directly', form: 'REST', version: '1.0' },
];

export interface TckBox {
  box: AgentBox;
  agents: Readonly<Record<TckName, TckAgent>>;
  placeOf: (subject: Subject, agent?: TckName, key?: keyof typeof AGENT_KEYS) => Place;
  close: () => Promise<void>;
}

export async function startTckBox(): Promise<TckBox> {
  const names = Object.keys(AGENTS) as TckName[];
  const started = await Promise.all(names.map((name) => startTckAgent({ name, ...AGENTS[name] })));
  const agents = Object.fromEntries(names.map((name, index) => [name, started[index]!])) as Record<TckName, TckAgent>;
  const listed = names.map((name) => ({ name, url: agents[name].base }));
  const box = await startAgentBox(listed);
  // Its own place is known once it listens: agents that post to it need that. Webhooks of the suite are at home as well.
  const server = { workers: 1, public_url: box.box.url };
  await box.box.reload(box.config(listed, { server, egress: { allow_private: ['127.0.0.0/8'] } }));
  // A call has it look at an agent; before that, the card that it serves says nothing of what the agent can do.
  await Promise.all(names.map((name) => box.rpc(name, 'ListTasks', {})));
  return {
    box,
    agents,
    placeOf({ via, form, version }, agent = 'tck', key = 'KEY') {
      if (via === 'directly')
        return { form, version, url: `${agents[agent].base}/a2a/${form === 'REST' ? 'rest' : 'jsonrpc'}`, headers: {} };
      const url = `${box.urlOf(agent)}${form === 'REST' && version === '0.3' ? '/v1' : ''}`;
      return { form, version, url, headers: { authorization: `Bearer ${AGENT_KEYS[key]}` } };
    },
    close: async () => {
      await box.close();
      await Promise.all(started.map((agent) => agent.close()));
    },
  };
}

/** A messageId that begins as the scenario wants it. */
export const idOf = (prefix: string): string => `${prefix}-${randomUUID()}`;

/** A message that the scenario of that prefix answers. */
export function sendTo(place: Place, prefix = 'tck-complete-task', headers: Record<string, string> = {}): Promise<Answer> {
  return ask(place, 'send', { message: { messageId: idOf(prefix) }, headers });
}

/** The id of a new task. */
export async function taskMadeAt(place: Place, prefix?: string): Promise<string> {
  const answer = await sendTo(place, prefix);
  const task = taskIn(resultOf(answer));
  if (task === undefined) throw new Error(`no task: ${JSON.stringify(answer.body)}`);
  return String(task['id']);
}
