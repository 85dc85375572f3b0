/** Push notifications on the main thread: where clients want to be told, kept sealed, and what agents have told us for them. Agents never learn of a client's place. */
import { createHash } from 'node:crypto';

import type { PushMade, PushPlace, PushQuestion, PushShown, PushTarget } from '../core/push.ts';
import type { Keyring } from '../lib/seal.ts';
import type { PushesPort, StoredDelivery, StoredPush } from '../store/ports/pushes.ts';
import { type Outcome, createPushQueue } from './push-queue.ts';
import { type SendParts, sendPush } from './push-send.ts';

export interface PushDeskParts extends SendParts {
  store: PushesPort;
  ring: Keyring;
  nowMs: () => number;
  random: () => number;
  /** Unguessable, and plain in a path. */
  newId: () => string;
  onDead: (agent: string, reason: string) => void;
  /** For tests: see `PushQueueParts`. */
  pausesMs?: readonly number[];
}

export interface PushDesk {
  answer(question: PushQuestion): Promise<unknown>;
  /** Takes up what waits. Answers how to stop. */
  start(): () => void;
}

const MOST_PER_TASK = 16;
/** Of one push; what comes beyond is the agent's to try again. */
const MOST_WAITING = 100;

export function createPushDesk(parts: PushDeskParts): PushDesk {
  const { store } = parts;
  const queue = createPushQueue({
    ...parts,
    send: (delivery) => send(parts, delivery),
    onDead: async ({ push }, reason) => {
      const known = await store.get(push);
      if (known !== undefined) parts.onDead(known.agent, reason);
    },
  });
  const take = createTaker(parts);
  return {
    async answer(question) {
      switch (question.ask) {
        case 'push_create':
          return create(parts, question);
        case 'push_list':
          return (await store.ofTask(question.agent, question.task)).flatMap((push) => shownOf(parts, push));
        case 'push_remove': {
          const known = await named(parts, question);
          if (known !== undefined) await store.remove(known.push);
          return known?.push;
        }
        case 'push_bind':
          return store.bind(question.push, question);
        case 'push_place':
          return placeOf(await store.get(question.push), question.agent);
        case 'push_came': {
          const outcome = await take(question);
          if (outcome === 'taken') queue.wake(question);
          return outcome;
        }
      }
    },
    start: () => queue.start(),
  };
}

async function create(parts: PushDeskParts, asked: Extract<PushQuestion, { ask: 'push_create' }>): Promise<PushMade> {
  const { store, ring, nowMs, addressProblem, newId } = parts;
  const { agent, task, replica, version, target, who } = asked;
  const problem = await addressProblem(target.url);
  if (problem !== undefined) return { refused: `The URL for push notifications ${problem}` };
  const before = await named(parts, asked);
  const push = before?.push ?? newId();
  const sealed = ring.seal('cred/v1', ['agent_pushes', push, 'sealed'], JSON.stringify(target));
  const place = { ...(task !== undefined && { task }), ...(replica !== undefined && { replica }), version, ...who };
  const made = await store.put({ push, agent, configId: ownName(asked), ...place, sealed, createdAtMs: nowMs() }, MOST_PER_TASK);
  if (made === undefined) return { refused: `A task has at most ${MOST_PER_TASK} push configurations` };
  // Made a moment ago by somebody else, under whose name it does not open.
  return made === push ? { push, isNew: before === undefined } : create(parts, asked);
}

interface Named {
  agent: string;
  task?: string;
  configId: string;
}

async function named({ store }: PushDeskParts, asked: Named): Promise<StoredPush | undefined> {
  if (asked.task === undefined) return undefined;
  const name = ownName(asked);
  return (await store.ofTask(asked.agent, asked.task)).find(({ configId }) => configId === name);
}

/** Who gives a configuration no name means that of its task, by whose id it is shown. */
function ownName({ configId, task }: Named): string {
  return configId === task ? '' : configId;
}

/** Undefined: sealed by a key that is not there any more. */
function targetOf({ ring }: PushDeskParts, { push, sealed }: StoredPush): PushTarget | undefined {
  const opened = ring.open('cred/v1', ['agent_pushes', push, 'sealed'], sealed);
  return opened === undefined ? undefined : (JSON.parse(opened) as PushTarget);
}

function shownOf(parts: PushDeskParts, push: StoredPush): PushShown[] {
  const { configId, task = '' } = push;
  const target = targetOf(parts, push);
  if (target === undefined) return [];
  return [
    {
      id: configId === '' ? task : configId,
      task,
      url: target.url,
      ...(target.scheme !== undefined && { scheme: target.scheme }),
    },
  ];
}

function placeOf(push: StoredPush | undefined, agent: string): PushPlace | undefined {
  if (push?.agent !== agent) return undefined;
  const { task, replica, version, owner, team, endUser } = push;
  return {
    ...(task !== undefined && { task }),
    ...(replica !== undefined && { replica }),
    version,
    owner,
    ...(team !== undefined && { team }),
    ...(endUser !== undefined && { endUser }),
  };
}

type Came = Extract<PushQuestion, { ask: 'push_came' }>;

/** Into the store: what was taken is told, whatever becomes of this process. */
function createTaker({ store, ring, nowMs }: PushDeskParts): (came: Came) => ReturnType<PushesPort['deliver']> {
  let lastSeq = 0;
  return ({ push, body, repeats }) => {
    const seq = Math.max(nowMs() * 1_000, lastSeq + 1);
    lastSeq = seq;
    const digest = createHash('sha256')
      .update(repeats ? `${seq}\n${body}` : body)
      .digest('base64url');
    const sealed = ring.seal('body/v1', belonging({ push, digest }), body);
    return store.deliver({ push, digest, seq, sealed }, MOST_WAITING);
  };
}

function belonging({ push, digest }: Pick<StoredDelivery, 'push' | 'digest'>): string[] {
  return ['agent_push_deliveries', push, digest];
}

async function send(parts: PushDeskParts, delivery: StoredDelivery): Promise<Outcome> {
  const push = await parts.store.get(delivery.push);
  const target = push && targetOf(parts, push);
  const body = parts.ring.open('body/v1', belonging(delivery), delivery.sealed);
  if (push === undefined || target === undefined || body === undefined) return { reason: 'sealed', isFinal: true };
  return sendPush({ target, version: push.version }, body, parts);
}
