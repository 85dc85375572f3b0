/** The agents of this process: the desk of agents/, with the store, the way out and the workers. */
import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns';

import { resolveAgent } from '../config/resolve-agents.ts';
import { agentSchema } from '../config/schema-agent.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { type AgentDesk, createAgentDesk } from '../agents/desk.ts';
import { type Get, createProbe } from '../agents/probe.ts';
import { type PushDesk, createPushDesk } from '../agents/push-desk.ts';
import type { PostOutside } from '../agents/push-send.ts';
import type { AgentEvent } from '../agents/registry.ts';
import { openSecrets } from '../control/agents/secrets.ts';
import type { AgentConfig, AgentNews } from '../core/agent.ts';
import type { Raise } from '../core/fact.ts';
import type { Keyring } from '../lib/seal.ts';
import type { Store } from '../store/store.ts';
import type { StoredAgent } from '../store/ports/agents.ts';
import { DEMO_ORIGIN } from '../providers/catalog/local.ts';
import type { Send } from '../upstream/send.ts';
import { collect } from '../upstream/unary.ts';
import { resolvedProblem } from '../upstream/vet.ts';
import type { Control } from './messages.ts';
import type { SlotBook } from './slots.ts';
import { StartError, errorText } from './start-error.ts';

export interface AgentsParts {
  control: Pick<Control, 'send' | 'raise' | 'log'>;
  store: Pick<Store, 'agents' | 'pushes'>;
  slots: SlotBook;
  ring: Keyring;
  controlSocketPath: string;
  snapshot: () => Snapshot;
  tell: (news: AgentNews) => Promise<boolean>;
  fill: () => Promise<void>;
}

/** Reads them from the store and the file, before any worker serves. Throws StartError. */
export async function openAgents(parts: AgentsParts): Promise<AgentDesk> {
  const { control, store, slots, ring, tell, fill } = parts;
  const desk = createAgentDesk({
    store: store.agents,
    push: openPushes(parts),
    probe: createProbe({ get: getBy(control.send, parts.controlSocketPath), nowMs: Date.now }),
    nowMs: Date.now,
    random: Math.random,
    resolve: (stored) => resolveStored(stored, ring, slots),
    tell,
    fill,
    onEvent: raising(control.raise),
    onLeftOut: (agent, error) => control.log('error', { agent, error: errorText(error) }, 'an agent of the store is left out'),
  });
  try {
    await desk.load();
    await desk.useFile(withSockets(parts.snapshot().agents, parts.controlSocketPath));
  } catch (error) {
    throw new StartError(`the agents cannot be read from the store: ${errorText(error)}`);
  }
  return desk;
}

/** An agent whose clients take nothing is one event a minute. */
const QUIET_MS = 60_000;

function openPushes({ control, store, ring, snapshot }: AgentsParts): PushDesk {
  const toldAtMs = new Map<string, number>();
  return createPushDesk({
    store: store.pushes,
    ring,
    post: postBy(control.send),
    addressProblem: (url) => resolvedProblem(url, snapshot().egress.allowPrivate, lookup),
    nowMs: Date.now,
    random: Math.random,
    newId: () => randomBytes(24).toString('base64url'),
    onDead: (agent, reason) => {
      if (Date.now() - (toldAtMs.get(agent) ?? 0) < QUIET_MS) return;
      toldAtMs.set(agent, Date.now());
      control.raise('agent.push_failed', `agent:${agent}`, { reason });
    },
  });
}

const PUSH_TIMEOUT_MS = 10_000;

/** What a client says beside its status is of no interest. */
function postBy(send: Send): PostOutside {
  const timeouts = {
    connectMs: PUSH_TIMEOUT_MS,
    firstByteMs: PUSH_TIMEOUT_MS,
    idleMs: PUSH_TIMEOUT_MS,
    totalMs: PUSH_TIMEOUT_MS,
  };
  return async (url, headers, body) => {
    const { origin, pathname, search } = new URL(url);
    const endpoint = { baseUrl: origin, headers: {}, weight: 1, outside: true as const };
    const sent = send({ endpoint, method: 'POST', path: pathname + search, headers, body, timeouts, stream: false });
    const answer = await sent.answer;
    if (answer.failed) throw answer.error;
    answer.body.abort();
    return answer.status;
  };
}

/** As it was sent to the API, with what was sealed of it. Throws where it is not what the schema wants. */
function resolveStored(stored: StoredAgent, ring: Keyring, slots: Pick<SlotBook, 'slotOf'>): AgentConfig {
  const written = JSON.parse(stored.content) as object;
  const settings = agentSchema.parse({ ...written, ...openSecrets(ring, stored) });
  return { ...resolveAgent(settings, { slotOf: slots.slotOf }), outside: true };
}

/** The demo agents have no address that others could reach; only the file may name them, and nothing else behind that socket. */
export function withSockets(agents: readonly AgentConfig[], socketPath: string): AgentConfig[] {
  return agents.map((agent) =>
    agent.url.startsWith(`${DEMO_ORIGIN}/demo/agents/`) ? Object.assign({}, agent, { socketPath }) : agent,
  );
}

function raising(raise: Raise): (event: AgentEvent) => void {
  return (event) => {
    if (event.kind === 'card_changed') return raise('agent.card_changed', `agent:${event.agent}`, {});
    const { agent, from, to, reason = '' } = event;
    // What a GET finds at a place for POSTs alarms nobody, but may be the end of an alarm.
    if ((reason === 'unverified' && from !== 'unhealthy') || (from === 'unknown' && to === 'healthy')) return undefined;
    return raise('agent.state', `agent:${agent}`, { from, to, reason });
  };
}

function getBy(send: Send, controlSocketPath: string): Get {
  return async ({ url, headers, timeoutMs, maxBytes, config }) => {
    const { origin, pathname, search } = new URL(url);
    const { model, outside, socketPath = model && controlSocketPath } = config;
    const sent = send({
      endpoint: {
        baseUrl: origin,
        headers: {},
        weight: 1,
        ...(outside === true && model === undefined && { outside: true as const }),
        ...(socketPath !== undefined && { socketPath }),
      },
      method: 'GET',
      path: pathname + search,
      headers,
      body: undefined,
      timeouts: { connectMs: timeoutMs, firstByteMs: timeoutMs, idleMs: timeoutMs, totalMs: timeoutMs },
      stream: false,
    });
    const answer = await sent.answer;
    if (answer.failed) throw answer.error;
    const { status, headers: told } = answer;
    if (maxBytes === 0) {
      answer.body.abort();
      return { status, body: Buffer.alloc(0) };
    }
    const collected = await collect(answer.body, { maxBytes, contentLength: told['content-length'] });
    if ('whole' in collected) return { status, body: collected.whole };
    answer.body.abort();
    if ('error' in collected) throw collected.error;
    return { status, body: Buffer.alloc(0), cut: true };
  };
}
