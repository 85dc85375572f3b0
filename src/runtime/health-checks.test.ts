import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import type { Snapshot } from '../config/snapshot.ts';
import type { BreakerRules } from '../core/routing.ts';
import { DEFAULT_ROUTING } from '../core/routing.ts';
import { createTargetMemory } from '../routing/target-memory.ts';
import { openTargetStates } from '../routing/target-state.ts';
import type { Send } from '../upstream/send.ts';
import { checksOf, createHealthChecks } from './health-checks.ts';

const RULES: BreakerRules = { ...DEFAULT_ROUTING.breaker, failures: 2, openMs: 10_000 };

function snapshotOf(endpoints: number, breakers: readonly BreakerRules[] = [RULES]): Snapshot {
  const target = { id: 'p/m', provider: 'p' };
  return {
    providers: {
      p: {
        name: 'p',
        endpoints: Array.from({ length: endpoints }, (_, at) => ({ baseUrl: `http://${at}`, headers: {}, weight: 1 })),
        healthCheck: { intervalMs: 1_000, timeoutMs: 500, path: '/models' },
      },
      unasked: { name: 'unasked', endpoints: [{ baseUrl: 'http://x', headers: {}, weight: 1 }] },
    },
    models: breakers.map((breaker, at) => ({ name: `m${at}`, routing: { ...DEFAULT_ROUTING, breaker }, targets: [target] })),
    places: { targets: { 'p/m': 0, 'p/m#2': 1 }, models: {} },
  } as unknown as Snapshot;
}

function boxOf(status: () => number | 'nothing' | 'never') {
  const states = openTargetStates(createTargetMemory({ places: 4, workers: 1 }, Date.now()), 0);
  const asked: string[] = [];
  const raised: unknown[] = [];
  let underWay = 0;
  let most = 0;
  const send: Send = ({ endpoint, path }) => {
    asked.push(endpoint.baseUrl + path);
    most = Math.max(most, ++underWay);
    const answer = new Promise((resolve) => {
      setTimeout(() => {
        const given = status();
        if (given === 'never') return;
        underWay -= 1;
        resolve(given === 'nothing' ? { failed: true } : { failed: false, status: given, body: { abort: () => {} } });
      }, 50);
    });
    return { answer, abort: () => {} } as unknown as ReturnType<Send>;
  };
  const raise = (type: string, scope: string | undefined, details: object): void => void raised.push({ type, scope, ...details });
  const checks = createHealthChecks({ states, send, raise, nowMs: Date.now, random: () => 0.5 });
  return { states, asked, raised, checks, most: () => most };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('checks', () => {
  test('ask every endpoint of those providers that want it, so often; none after they are stopped', async () => {
    const { asked, checks } = boxOf(() => 200);
    checks.use(snapshotOf(2));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(new Set(asked)).toEqual(new Set(['http://0/models', 'http://1/models']));
    expect(asked.length).toBeGreaterThanOrEqual(16);
    expect(asked.length).toBeLessThanOrEqual(20);
    checks.stop();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked.length).toBeLessThanOrEqual(20);
  });

  test('never overlap, and are not more than sixteen at once', async () => {
    const { asked, checks, most } = boxOf(() => 'never');
    checks.use(snapshotOf(40));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toHaveLength(16);
    expect(most()).toBe(16);
    checks.stop();
  });

  test('another snapshot takes their place', async () => {
    const { asked, checks } = boxOf(() => 200);
    checks.use(snapshotOf(2));
    checks.use(snapshotOf(1));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(new Set(asked)).toEqual(new Set(['http://0/models']));
    checks.stop();
  });
});

describe('what they find', () => {
  test.each([[500], [503], ['nothing']] as const)('%s counts as a fault, and opens', async (status) => {
    const { states, raised, checks } = boxOf(() => status);
    checks.use(snapshotOf(1));
    await vi.advanceTimersByTimeAsync(700);
    expect(states.breaker(0, Date.now())).toBe('closed');
    await vi.advanceTimersByTimeAsync(1_500);
    expect(states.breaker(0, Date.now())).toBe('open');
    expect([states.breaker(1, Date.now()), states.inFlight(0)]).toEqual(['closed', 0]);
    expect(raised).toEqual([{ type: 'target.failing', scope: 'provider:p', reason: 'health_check' }]);
    checks.stop();
  });

  test('one that goes on failing never becomes half open; one that is well again does, but is not closed', async () => {
    let status = 500;
    const { states, checks } = boxOf(() => status);
    checks.use(snapshotOf(1));
    await vi.advanceTimersByTimeAsync(14_500);
    expect(states.breaker(0, Date.now())).toBe('open');
    status = 200;
    await vi.advanceTimersByTimeAsync(12_000);
    expect(states.breaker(0, Date.now())).toBe('probing');
    checks.stop();
  });

  test('404 is well; a refused credential is told, and no fault', async () => {
    let status = 404;
    const { states, raised, checks } = boxOf(() => status);
    checks.use(snapshotOf(1));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(raised).toEqual([]);
    status = 401;
    await vi.advanceTimersByTimeAsync(1_500);
    expect(raised[0]).toEqual({ type: 'target.failing', scope: 'provider:p', reason: 'credential' });
    expect(states.breaker(0, Date.now())).toBe('closed');
    checks.stop();
  });

  test('of several models with the same target the strictest rules hold', () => {
    const [check] = checksOf(
      snapshotOf(1, [
        { ...RULES, failures: 9 },
        { ...RULES, failures: 3 },
        { ...RULES, failures: 5 },
      ]),
    );
    expect(check!.places.get(0)).toMatchObject({ failures: 3 });
  });
});
