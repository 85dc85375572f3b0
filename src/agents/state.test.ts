/** The health of one replica, observation by observation. */
import { array, assert, boolean, constantFrom, nat, oneof, property, record } from 'fast-check';
import { describe, expect, test } from 'vitest';

import { AGENT_STATES, type AgentState, type CallVerdict } from '../core/agent.ts';
import {
  type Health,
  type HealthRules,
  type Observation,
  type ProbeVerdict,
  NEW,
  isBeingTried,
  mayTry,
  next,
  rankOf,
  wantsLook,
} from './state.ts';

const AT_ONCE: HealthRules = { unhealthyThreshold: 1, healthyThreshold: 1 };
const VERDICTS: ProbeVerdict[] = ['ok', 'slow', 'unverified', 'refused', 'failing', 'silent', 'unreachable'];
const CALLS: CallVerdict[] = ['ok', 'hard', 'slow', 'failing', 'none'];

/** Times in seconds. */
const probe = (verdict: ProbeVerdict, s: number): Observation => ({ kind: 'probe', verdict, atMs: s * 1_000, latencyMs: 7 });
const call = (
  verdict: CallVerdict,
  s: number,
  more: { caller?: string; message?: number; unreachable?: true } = {},
): Observation => ({
  kind: 'call',
  verdict,
  atMs: s * 1_000,
  caller: 'x',
  ...more,
});
const gone = (s: number, caller = 'x'): Observation => call('hard', s, { caller, unreachable: true });
const set = (state: AgentState, s: number): Observation => ({ kind: 'set', state, atMs: s * 1_000 });
const trial = (s: number): Observation => ({ kind: 'trial', atMs: s * 1_000 });

function after(
  seen: readonly Observation[],
  { from = NEW, rules = AT_ONCE }: { from?: Health; rules?: HealthRules } = {},
): Health {
  return seen.reduce((health, each) => next(health, each, rules), from);
}

/** `degraded: slow` */
function told({ state, reason }: Health): string {
  return reason === undefined ? state : `${state}: ${reason}`;
}

/** What a probe makes of any replica that calls say nothing of. */
const FOUND: [ProbeVerdict, string][] = [
  ['ok', 'healthy'],
  ['slow', 'degraded: slow'],
  ['unverified', 'degraded: unverified'],
  ['refused', 'degraded: errors'],
  ['failing', 'unhealthy: errors'],
  ['silent', 'unhealthy: slow'],
  ['unreachable', 'unhealthy: unreachable'],
];

describe('probes', () => {
  test.each(
    FOUND.flatMap(([verdict, found]) => AGENT_STATES.map((state) => [state, verdict, state === 'disabled' ? 'disabled' : found])),
  )('%s, a probe says %s: %s', (state, verdict, found) => {
    expect(told(after([probe(verdict as ProbeVerdict, 1)], { from: { ...NEW, state: state as AgentState } }))).toBe(found);
  });

  test('when, how fast and how often in a row is kept; nothing that is not there has a latency', () => {
    const seen = [probe('ok', 1), probe('slow', 2), probe('failing', 3)];
    expect(after(seen.slice(0, 2))).toMatchObject({ checkedAtMs: 2_000, latencyMs: 7, goodProbes: 2, badProbes: 0 });
    expect(after(seen)).toMatchObject({ checkedAtMs: 3_000, goodProbes: 0, badProbes: 1 });
    const silent: Observation = { kind: 'probe', verdict: 'unreachable', atMs: 4_000 };
    expect(after([...seen, silent])).toMatchObject({ checkedAtMs: 4_000, latencyMs: 7, badProbes: 2 });
  });

  const slowly = { rules: { unhealthyThreshold: 3, healthyThreshold: 2 } };
  const well = probe('ok', 0);
  const bad = [1, 2, 3].map((s) => probe('failing', s));
  test.each<[string, Observation[], string]>([
    ['two bad ones of three', [well, ...bad.slice(0, 2)], 'healthy'],
    ['three bad ones', [well, ...bad], 'unhealthy: errors'],
    ['a good one among them', [well, ...bad.slice(0, 2), well, ...bad.slice(0, 2)], 'healthy'],
    ['one good one of two, then', [well, ...bad, probe('ok', 4)], 'unhealthy: errors'],
    ['two good ones', [well, ...bad, probe('ok', 4), probe('ok', 5)], 'healthy'],
    ['two that are not very good', [well, ...bad, probe('slow', 4), probe('unverified', 5)], 'degraded: unverified'],
    ['a bad one among the good', [well, ...bad, probe('ok', 4), probe('failing', 5), probe('ok', 6)], 'unhealthy: errors'],
    ['the first one of all, bad', bad.slice(0, 1), 'unhealthy: errors'],
    ['the first one of all, good', [well], 'healthy'],
  ])('thresholds of three and two: %s', (_, seen, state) => {
    expect(told(after(seen, slowly))).toBe(state);
  });
});

describe('a call that works', () => {
  test.each(AGENT_STATES)('of %s', (state) => {
    expect(told(after([call('ok', 1)], { from: { ...NEW, state } }))).toBe(state === 'disabled' ? 'disabled' : 'healthy');
  });

  test.each(FOUND)('outranks a probe that says %s, for a minute', (verdict, found) => {
    expect(told(after([call('ok', 0), probe(verdict, 59.999)]))).toBe('healthy');
    expect(told(after([call('ok', 0), probe(verdict, 60)]))).toBe(found);
  });

  test('while GET is never answered in time: that is no news any more', () => {
    const misjudged = [probe('silent', 0), trial(1), call('ok', 2)];
    expect(told(after([...misjudged, probe('silent', 70)]))).toBe('degraded: unverified');
    expect(told(after([...misjudged, probe('unreachable', 70)]))).toBe('unhealthy: unreachable');
    expect(told(after([...misjudged, probe('ok', 70), probe('silent', 100)]))).toBe('unhealthy: slow');
  });

  test('while GET is answered with 5xx: that is no news any more, until GET is answered otherwise', () => {
    const misjudged = [probe('failing', 0), trial(1), call('ok', 2)];
    expect(told(after(misjudged))).toBe('healthy');
    expect(told(after([...misjudged, probe('failing', 70)]))).toBe('degraded: unverified');
    expect(told(after([...misjudged, probe('failing', 70), probe('failing', 100)]))).toBe('degraded: unverified');
    expect(told(after([...misjudged, probe('unreachable', 70)]))).toBe('unhealthy: unreachable');
    expect(told(after([...misjudged, probe('ok', 70), probe('failing', 100)]))).toBe('unhealthy: errors');
    expect(told(after([...misjudged, set('unknown', 70), probe('failing', 100)]))).toBe('unhealthy: errors');
  });

  // Whoever was up when it failed is not known by that to answer GET with 5xx.
  test('of one that calls made Unhealthy says nothing of GET', () => {
    const mended = [probe('ok', 0), ...[1, 2, 3].map((s) => call('hard', s)), trial(4), call('ok', 5)];
    expect(told(after([...mended, probe('failing', 70)]))).toBe('unhealthy: errors');
  });
});

describe('calls that do not get through', () => {
  const x = [1, 2, 3].map((s) => call('hard', s));
  const others = call('ok', 0, { caller: 'y' });
  test.each<[string, Observation[], string]>([
    ['two of one who is alone', x.slice(0, 2), 'healthy'],
    ['three of one who is alone', x, 'unhealthy: errors'],
    ['three that reach nobody', [1, 2, 3].map((s) => gone(s)), 'unhealthy: unreachable'],
    ['the last of which reaches its proxy', [gone(1), gone(2), call('hard', 3)], 'unhealthy: errors'],
    ['three of one, where another one got through', [others, ...x], 'healthy'],
    [
      'ten of one, where another one got through',
      [others, ...Array.from({ length: 10 }, (_, s) => call('hard', s + 1))],
      'healthy',
    ],
    ['three of both', [others, call('hard', 1), call('hard', 2, { caller: 'y' }), call('hard', 3)], 'unhealthy: errors'],
    ['three of one, then one of the other', [others, ...x, call('hard', 4, { caller: 'y' })], 'unhealthy: errors'],
    ['three of one, and a bad probe among them', [others, x[0]!, probe('unreachable', 1.5), x[1]!, x[2]!], 'unhealthy: errors'],
    ['three of one, and a bad probe before them', [others, probe('unreachable', 0.5), ...x], 'healthy'],
    [
      'three of one, where another one was a minute ago',
      [others, ...[61, 62, 63].map((s) => call('hard', s))],
      'unhealthy: errors',
    ],
    ...(['ok', 'failing', 'none'] as const).map((verdict): [string, Observation[], string] => [
      `three, with an answer among them (${verdict})`,
      [x[0]!, x[1]!, call(verdict, 2.5), x[2]!],
      'healthy',
    ]),
  ])('%s: %s', (_, seen, state) => {
    expect(told(after([probe('ok', -100), ...seen]))).toBe(state);
  });

  test('of a replica that nobody looked at count alike', () => {
    expect(told(after(x))).toBe('unhealthy: errors');
  });

  test('an answer to a probe says it can be reached again, if a probe said that it could not', () => {
    const dead = [call('ok', -100), ...[1, 2, 3].map((s) => gone(s)), probe('unreachable', 4)];
    expect(told(after([...dead, probe('ok', 5)]))).toBe('healthy');
    expect(told(after([...dead, probe('ok', 5), gone(6), gone(7)]))).toBe('healthy');
  });

  test.each(['unreachable', 'silent', 'failing'] as const)(
    'a probe (%s) is the second witness, also within a minute of a success',
    (verdict) => {
      const doubted = [others, call('ok', 0.5), ...x];
      expect(told(after(doubted))).toBe('healthy');
      expect(wantsLook(after(doubted))).toBe(true);
      expect(after([...doubted, probe(verdict, 4)]).state).toBe('unhealthy');
    },
  );

  test('a card that is served elsewhere does not make it well', () => {
    const dead = [probe('ok', 0), gone(1), probe('ok', 1.1), gone(2), gone(3)];
    expect(told(after(dead))).toBe('unhealthy: unreachable');
    expect(told(after([...dead, ...[30, 60, 90, 120].map((s) => probe('ok', s))]))).toBe('unhealthy: unreachable');
    expect(told(after([...dead, trial(30), call('ok', 31)]))).toBe('healthy');
  });

  test('502, 503 and 504 are not mended by a GET that was answered all the while, but by one that was not', () => {
    const away = [probe('ok', 0), ...x];
    expect(told(after([...away, probe('ok', 5), probe('ok', 63)]))).toBe('unhealthy: errors');
    expect(told(after([...away, probe('failing', 5), probe('ok', 35)]))).toBe('healthy');
    expect(told(after([...away, probe('ok', 602)]))).toBe('unhealthy: errors');
    expect(told(after([...away, probe('ok', 603)]))).toBe('healthy');
  });

  test.each(FOUND.slice(0, 4))(
    'one that died within a minute of its last success, and whom a probe finds gone and then %s, is %s',
    (verdict, found) => {
      expect(told(after([call('ok', 0), gone(1), gone(2), gone(3), probe('unreachable', 4), probe(verdict, 5)]))).toBe(found);
    },
  );

  test('a success that is told after the failures that followed it changes nothing', () => {
    const late = [probe('ok', 0), gone(2), gone(3), call('ok', 1), gone(4)];
    expect(told(after(late))).toBe('unhealthy: unreachable');
    expect(told(after([...late, call('none', 3.9), call('failing', 3.9)]))).toBe('unhealthy: unreachable');
  });

  test('a connection lost long ago does not keep it from coming back', () => {
    const lost = [probe('ok', 0), gone(1), probe('ok', 1.1)];
    expect(told(after([...lost, probe('unreachable', 4_000), probe('ok', 4_030)]))).toBe('healthy');
  });

  test.each(['none', 'failing'] as const)('an answer (%s) takes back that it could not be reached', (verdict) => {
    const answered = [probe('ok', 0), gone(1), probe('ok', 1.1), call(verdict, 2)];
    expect(told(after([...answered, probe('unreachable', 100), probe('ok', 130)]))).toBe('healthy');
  });
});

describe('calls that fail', () => {
  const times = (verdict: CallVerdict, count: number, message?: number): Observation[] =>
    Array.from({ length: count }, (_, s) => call(verdict, s + 1, { message: message ?? s }));
  test.each<[string, Observation[], string]>([
    ['two', times('failing', 2), 'healthy'],
    ['three', times('failing', 3), 'degraded: errors'],
    ['three in no time', times('slow', 3), 'degraded: slow'],
    ['fifty', times('failing', 50), 'degraded: errors'],
    ['fifty of one message', times('failing', 50, 666), 'healthy'],
    ['fifty that take too long, of one message', times('slow', 50, 666), 'healthy'],
    ['two of one message, two others', [...times('failing', 2, 666), ...times('failing', 2)], 'degraded: errors'],
    ['two, a good one, two', [...times('failing', 2), call('ok', 3), ...times('failing', 2)], 'healthy'],
    [
      'one message falling between good ones',
      Array.from({ length: 20 }, (_, s) => call(s % 2 ? 'failing' : 'ok', s, { message: s % 2 })),
      'healthy',
    ],
    ['three without a message', [1, 2, 3].map((s) => call('failing', s)), 'degraded: errors'],
    ['nonsense of the caller', times('none', 50), 'healthy'],
  ])('%s: %s', (_, seen, state) => {
    expect(told(after([probe('ok', -100), ...seen]))).toBe(state);
  });

  test.each([
    ['failing', 'degraded: errors'],
    ['slow', 'degraded: slow'],
  ] as const)('%s are not mended by a probe within a minute, only by one later, or by a call', (verdict, state) => {
    const failed = [probe('ok', 0), ...times(verdict, 3)];
    expect(told(after([...failed, probe('ok', 60)]))).toBe(state);
    expect(told(after([...failed, probe('ok', 63)]))).toBe('healthy');
    expect(told(after([...failed, call('ok', 4)]))).toBe('healthy');
  });

  test('one message again and again does not keep it so', () => {
    const failed = [
      probe('ok', 0),
      ...times('failing', 3),
      ...Array.from({ length: 60 }, (_, s) => call('failing', s + 4, { message: 2 })),
    ];
    expect(told(after([...failed, probe('ok', 63)]))).toBe('healthy');
  });

  test.each([...CALLS, 'gone'] as const)('of a disabled one (%s) change nothing that is shown', (verdict) => {
    const seen = Array.from({ length: 5 }, (_, s) => (verdict === 'gone' ? gone(s) : call(verdict, s)));
    expect(told(after([set('disabled', 0), ...seen, ...VERDICTS.map((each) => probe(each, 100))]))).toBe('disabled: operator');
  });
});

describe('trials of an Unhealthy one', () => {
  const down = [probe('unreachable', 0), trial(1)];
  test.each<[Observation, string]>([
    [call('ok', 2), 'healthy'],
    [call('failing', 2), 'degraded: errors'],
    [call('none', 2), 'degraded: unverified'],
    [call('slow', 2), 'unhealthy: unreachable'],
    [call('hard', 2), 'unhealthy: unreachable'],
    [gone(2), 'unhealthy: unreachable'],
  ])('%o: %s', (outcome, state) => {
    expect(told(after([...down, outcome]))).toBe(state);
  });

  test('once per interval, whatever happened in between, and of nobody else', () => {
    const health = after(down);
    expect([mayTry(health, 30_999, 30_000), mayTry(health, 31_000, 30_000)]).toEqual([false, true]);
    expect(mayTry(after([probe('unreachable', 0)]), 0, 30_000)).toBe(true);
    expect(mayTry(after([...down, call('ok', 2), gone(3), gone(4), gone(5)]), 6_000, 30_000)).toBe(false);
    for (const state of AGENT_STATES) expect(mayTry({ ...NEW, state }, 0, 30_000)).toBe(state === 'unhealthy');
  });

  test('one is under way until it has ended, or has begun too long ago', () => {
    expect(isBeingTried(after(down), 0)).toBe(true);
    expect(isBeingTried(after(down), 1_000)).toBe(false);
    expect(isBeingTried(after(down.slice(0, 1)), 0)).toBe(false);
    expect(CALLS.map((verdict) => isBeingTried(after([...down, call(verdict, 2)]), 0))).toEqual(
      CALLS.map((each) => each === 'slow'),
    );
  });

  test.each(['failing', 'unreachable'] as const)(
    'an answer to the caller’s own error shows that it is there, whatever GET says (%s)',
    (verdict) => {
      expect(after([probe(verdict, 0), trial(1), call('none', 2), probe(verdict, 27)]).state).toBe('degraded');
    },
  );
});

describe('the operator', () => {
  test('has a newer word than a call that ended before, and is told of later', () => {
    expect(told(after([set('unhealthy', 5), call('ok', 4)]))).toBe('unhealthy: operator');
    expect(told(after([set('unhealthy', 5), call('ok', 6)]))).toBe('healthy');
    expect(told(after([set('healthy', 5), gone(4), gone(4), gone(4)]))).toBe('healthy: operator');
  });

  test.each(AGENT_STATES)('says %s, and all that was known is forgotten', (state) => {
    const known = after([probe('failing', 0), call('ok', 1), gone(2), call('failing', 3), trial(4)]);
    expect(after([set(state, 5)], { from: known })).toEqual({ ...NEW, state, reason: 'operator', checkedAtMs: 5_000 });
  });

  test('has no lasting word but in disabling', () => {
    expect(AGENT_STATES.map((state) => told(after([set(state, 0), probe('ok', 1)])))).toEqual([
      ...['unknown', 'healthy', 'degraded', 'unhealthy'].map(() => 'healthy'),
      'disabled: operator',
    ]);
  });
});

test('the best comes first, and what no GET could verify next', () => {
  const states = ['healthy', 'degraded: unverified', 'degraded: slow', 'unknown', 'unhealthy', 'disabled'];
  const ranks = states.map((each) => {
    const [state, reason] = each.split(': ') as [AgentState, Health['reason']];
    return rankOf({ state, reason });
  });
  expect(ranks).toEqual([0, 1, 2, 3, 4, 5]);
});

test('whatever is seen in whatever order', () => {
  const caller = constantFrom('x', 'y', 'z');
  const times = { atMs: nat(200_000) };
  const seen = oneof(
    record({ kind: constantFrom('probe' as const), verdict: constantFrom(...VERDICTS), ...times }),
    record({
      kind: constantFrom('call' as const),
      verdict: constantFrom(...CALLS),
      unreachable: boolean(),
      caller,
      message: nat(2),
      ...times,
    }),
    record({ kind: constantFrom('set' as const), state: constantFrom(...AGENT_STATES), ...times }),
    record({ kind: constantFrom('trial' as const), ...times }),
  );
  const rules = record({ unhealthyThreshold: constantFrom(1, 3), healthyThreshold: constantFrom(1, 2) });
  assert(
    property(array(seen, { maxLength: 40 }), rules, (all, thresholds) => {
      let health: Health = NEW;
      for (const each of [...all].sort((one, other) => one.atMs - other.atMs)) {
        const before = Object.freeze(health);
        health = next(before, each, thresholds);
        expectLegal(before, each, health);
      }
    }),
    { numRuns: 2_000 },
  );
});

function expectLegal(before: Health, seen: Observation, { state, reason, hardBy, callers, ...counts }: Health): void {
  expect(AGENT_STATES).toContain(state);
  if (state === 'healthy' || state === 'unknown') expect([undefined, 'operator']).toContain(reason);
  expect(Math.min(counts.goodProbes, counts.badProbes, counts.hard, counts.soft)).toBe(0);
  expect(Math.max(hardBy.length, callers.length)).toBeLessThanOrEqual(2);
  if (seen.kind === 'set') return;
  if (before.state === 'disabled' || seen.kind === 'trial') expect(state).toBe(before.state);
  else if (seen.kind === 'call' && seen.verdict === 'ok') expect(state).toBe('healthy');
  else if (seen.kind === 'call' && seen.verdict !== 'hard' && before.state !== 'unhealthy') expect(state).not.toBe('unhealthy');
  else expect(state === 'unknown' && before.state !== 'unknown').toBe(false);
}
