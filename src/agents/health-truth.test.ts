/**
 * Does health tell the truth? Thirty scripted behaviours of agents, driven as a gateway would: no send to an agent that works is ever refused, and a dead one costs its
 * callers at most three calls, beside one trial per interval.
 */
import { expect, test } from 'vitest';

import { agentConfig } from '../../test/support/agent-config.ts';
import { type CallVerdict, isAvailable } from '../core/agent.ts';
import { stateOf } from './entry.ts';
import { AgentRegistry, type ProbeResult } from './registry.ts';

interface Behaviour {
  name: string;
  /** What a probe finds. `s`: seconds since the start. */
  get: (s: number) => ProbeResult;
  /** What a send comes to. */
  post: (s: number, caller: string, message: number) => CallVerdict;
  /** Whether a sound send would have been answered well at that moment. */
  works: (s: number) => boolean;
  callers?: string[];
  /** Messages of the sends, one after another. */
  messages?: number[];
  /** What does not get through is told by its proxy: 502, 503, 504. Absent: nothing can be connected to. */
  byProxy?: true;
  /** So many sends at a time; what each came to is known when all are over. Absent: one. */
  atOnce?: number;
  /** The sends that go out, by their turn. Absent: all. */
  sends?: (turn: number) => boolean;
}

const OK: ProbeResult = { verdict: 'ok', latencyMs: 10 };
const found = (verdict: ProbeResult['verdict']) => (): ProbeResult => ({ verdict, latencyMs: 10 });
const always =
  (verdict: CallVerdict): Behaviour['post'] =>
  () =>
    verdict;
const yes = (): boolean => true;
const no = (): boolean => false;

const GETS: [string, ProbeResult['verdict']][] = [
  ['200', 'ok'],
  ['200 late', 'slow'],
  ['301', 'refused'],
  ['401', 'refused'],
  ['403', 'refused'],
  ['404', 'unverified'],
  ['405', 'unverified'],
  ['500', 'failing'],
  ['503', 'failing'],
  ['nothing in time', 'silent'],
];

const BEHAVIOURS: Behaviour[] = [
  ...GETS.map(([status, verdict]) => ({
    name: `answers GET with ${status}, and works`,
    get: found(verdict),
    post: always('ok'),
    works: yes,
  })),
  { name: 'is dead', get: found('unreachable'), post: always('hard'), works: no },
  { name: 'is dead, its proxy is not', get: found('failing'), post: always('hard'), works: no },
  { name: 'is dead behind a card that is served elsewhere', get: () => OK, post: always('hard'), works: no },
  {
    name: 'dies',
    get: (s) => (s < 100 ? OK : found('unreachable')()),
    post: (s) => (s < 100 ? 'ok' : 'hard'),
    works: (s) => s < 100,
  },
  {
    name: 'dies and comes back',
    get: (s) => (s > 100 && s < 200 ? found('unreachable')() : OK),
    post: (s) => (s > 100 && s < 200 ? 'hard' : 'ok'),
    works: (s) => s <= 100 || s >= 200,
  },
  {
    name: 'dies between two callers',
    get: (s) => (s < 90 ? OK : found('unreachable')()),
    post: (s) => (s < 90 ? 'ok' : 'hard'),
    works: (s) => s < 90,
    callers: ['x', 'y'],
  },
  {
    name: 'starts cold',
    get: (s) => (s < 8 ? found('silent')() : OK),
    post: (s) => (s < 8 ? 'slow' : 'ok'),
    works: (s) => s >= 8,
  },
  { name: 'is slow to look at, quick to answer', get: found('slow'), post: always('ok'), works: yes },
  { name: 'hangs', get: found('silent'), post: always('slow'), works: no },
  { name: 'hangs, and shows a card', get: () => OK, post: always('slow'), works: yes },
  {
    name: 'falls over one message',
    get: () => OK,
    post: (_, __, message) => (message === 666 ? 'failing' : 'ok'),
    works: yes,
    messages: [1, 666, 666, 666, 666, 666, 666, 2, 3],
  },
  {
    name: 'is sent nothing but one message that it falls over',
    get: () => OK,
    post: always('failing'),
    works: yes,
    messages: [666],
  },
  { name: 'is sent nonsense', get: () => OK, post: always('none'), works: yes },
  { name: 'is sent nonsense, and answers GET with 500', get: found('failing'), post: always('none'), works: yes },
  {
    name: 'flaps',
    get: (s) => (Math.floor(s / 20) % 2 === 0 ? OK : found('unreachable')()),
    post: (s) => (Math.floor(s / 20) % 2 === 0 ? 'ok' : 'hard'),
    works: (s) => Math.floor(s / 20) % 2 === 0,
  },
  { name: 'fails every third time', get: () => OK, post: (s) => (s % 3 < 1 ? 'failing' : 'ok'), works: yes },
  { name: 'fails every time, in its own words', get: () => OK, post: always('failing'), works: yes },
  {
    name: 'cannot be reached by one of its callers',
    get: () => OK,
    post: (_, caller) => (caller === 'x' ? 'hard' : 'ok'),
    works: yes,
    callers: ['x', 'y'],
  },
  { name: 'loses a connection now and then', get: () => OK, post: (s) => (s % 10 < 1 ? 'hard' : 'ok'), works: yes },
  {
    name: 'answers GET with 500 half of the time',
    get: (s) => (Math.floor(s / 30) % 2 === 0 ? OK : found('failing')()),
    post: always('ok'),
    works: yes,
  },
];

/** However a GET is answered where nobody works: by a proxy, by whoever else serves the card. */
const DEAD: Behaviour[] = GETS.map(([status, verdict]) => ({
  name: `cannot be connected to, while GET is answered with ${status}`,
  get: found(verdict),
  post: always('hard'),
  works: no,
}));

const behind = (status: string, verdict: ProbeResult['verdict']): Behaviour => ({
  name: `is dead behind a proxy that says 502, and answers GET with ${status}`,
  get: found(verdict),
  post: always('hard'),
  works: no,
  byProxy: true,
});

/** Died after it had worked for two callers, the second of whom is seldom there. */
const diesForTwo: Behaviour = {
  name: 'dies behind a proxy, one of its two callers being seldom there',
  get: (s) => found(s < 100 ? 'ok' : 'failing')(),
  post: (s) => (s < 100 ? 'ok' : 'hard'),
  works: (s) => s < 100,
  callers: Array.from({ length: 40 }, (_, turn) => (turn === 20 ? 'y' : 'x')),
  byProxy: true,
};

const MORE: Behaviour[] = [
  ...DEAD,
  ...GETS.map(([status, verdict]) => behind(status, verdict)),
  diesForTwo,
  { name: 'cannot be connected to by ten at once, and shows a card', get: () => OK, post: always('hard'), works: no, atOnce: 10 },
  ...GETS.map(([status, verdict]) => ({
    name: `answers GET with ${status}, and works once in more than a minute`,
    get: found(verdict),
    post: always('ok'),
    works: yes,
    sends: (turn: number) => turn % 140 < 3,
  })),
  ...GETS.filter(([, verdict]) => !isDown(verdict)).map(([status, verdict]) => ({
    name: `answers GET with ${status}, and every call with an error`,
    get: found(verdict),
    post: always('failing'),
    works: yes,
  })),
  { name: 'is dead, and called by ten at once', get: found('unreachable'), post: always('hard'), works: no, atOnce: 10 },
  { name: 'works for ten at once', get: () => OK, post: always('ok'), works: yes, atOnce: 10 },
  {
    name: 'is refused by a proxy to one of its two callers',
    get: () => OK,
    post: (_, caller) => (caller === 'x' ? 'hard' : 'ok'),
    works: yes,
    callers: ['y', ...Array.from({ length: 39 }, () => 'x')],
    byProxy: true,
  },
];

function isDown(verdict: ProbeResult['verdict']): boolean {
  return verdict === 'failing' || verdict === 'silent' || verdict === 'unreachable';
}

const MINUTES = 10;
const INTERVAL_S = 30;

interface Tally {
  refusedAtWorking: number;
  /** Failed, beside the trials of an Unhealthy one. */
  failed: number;
  trials: number;
}

/** What chance says: intervals a tenth shorter, as they are, a tenth longer. */
const JITTERS = [0, 0.5, 0.999];

/** Sends twice a second, as a gateway decides. Refusals within an interval of what last went wrong are no news: it did not work then. */
async function drive(behaviour: Behaviour, random = 0.5): Promise<Tally> {
  const { get, post, works, callers = ['x'], messages = [], byProxy, atOnce = 1, sends = yes } = behaviour;
  const clock = { nowMs: 1_000_000 };
  const seconds = (): number => (clock.nowMs - 1_000_000) / 1_000;
  const registry = new AgentRegistry({
    probe: () => Promise.resolve(get(seconds())),
    nowMs: () => clock.nowMs,
    random: () => random,
  });
  const { generation } = registry.register(agentConfig('a'));
  const tally: Tally = { refusedAtWorking: 0, failed: 0, trials: 0 };
  let brokenAtS = -Infinity;
  let sent = 0;
  /** Answers what is to be noted of it when it is over; nothing where it was refused. */
  const send = async (s: number): Promise<(() => void) | undefined> => {
    const { state } = stateOf((await registry.getForRouting('a'))!);
    const isTrial = !isAvailable(state) && registry.admitTrial('a', '0');
    const turn = sent++;
    if (!isAvailable(state) && !isTrial) {
      if (s - brokenAtS > INTERVAL_S * 1.1 + 1) tally.refusedAtWorking += 1;
      return undefined;
    }
    const caller = callers[turn % callers.length]!;
    const message = messages.length === 0 ? turn : messages[turn % messages.length]!;
    const verdict = post(s, caller, message);
    if (isTrial) tally.trials += 1;
    else if (!works(s)) tally.failed += 1;
    const unreachable = verdict === 'hard' && byProxy !== true ? { unreachable: true as const } : {};
    const verdicts = [{ replica: '0', verdict, ...unreachable }];
    return () => registry.observeCall('a', { generation, caller, message, verdicts });
  };
  for (let turn = 0; turn < MINUTES * 120; turn++) {
    clock.nowMs += 500;
    const s = seconds();
    if (!works(s)) brokenAtS = s;
    if (turn % 2 === 0) await registry.checkDueAgents();
    if (!sends(turn)) continue;
    const over: ((() => void) | undefined)[] = [];
    for (let each = 0; each < atOnce; each++) over.push(await send(s));
    for (const note of over) note?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return tally;
}

test('there are thirty', () => {
  expect(BEHAVIOURS.length).toBeGreaterThanOrEqual(30);
});

/** Each time that it stops working costs three calls at most, beside those that were under way; whoever asks an Unhealthy one is the one trial of an interval. */
function expectTruth({ refusedAtWorking, failed, trials }: Tally, { works, atOnce = 1 }: Behaviour): void {
  expect(refusedAtWorking).toBe(0);
  const deaths = Array.from({ length: MINUTES * 60 }, (_, s) => s).filter((s) => !works(s + 1) && (s === 0 || works(s))).length;
  expect(failed).toBeLessThanOrEqual((2 + atOnce) * deaths);
  expect(trials).toBeLessThanOrEqual((MINUTES * 60) / INTERVAL_S + 1);
}

const HELD = [...BEHAVIOURS, ...MORE].flatMap((behaviour) =>
  JITTERS.map((random): [string, number, Behaviour] => [behaviour.name, random, behaviour]),
);

test.each(HELD)('an agent that %s (jitter %d)', async (_, random, behaviour) => {
  expectTruth(await drive(behaviour, random), behaviour);
});
