import { expect, test } from 'vitest';

import type { EventFact } from '../core/fact.ts';
import { createRaise } from './raise.ts';

function setUp() {
  const recorded: EventFact[] = [];
  const clock = { nowMs: 1_000_000 };
  let count = 0;
  const raise = createRaise({
    record: (event) => recorded.push(event),
    nowMs: () => clock.nowMs,
    eventId: () => `evt_${++count}`,
  });
  return { recorded, clock, raise };
}

test('one event a minute for each type and scope', () => {
  const { recorded, clock, raise } = setUp();
  raise('limit.exceeded', 'key:a', { rpm: 1 });
  raise('limit.exceeded', 'key:a', { rpm: 2 });
  raise('limit.exceeded', 'key:b', {});
  raise('budget.exceeded', 'key:a', {});
  raise('store.down', undefined, {});
  expect(recorded.map(({ type, scope, id }) => [type, scope, id])).toEqual([
    ['limit.exceeded', 'key:a', 'evt_1'],
    ['limit.exceeded', 'key:b', 'evt_2'],
    ['budget.exceeded', 'key:a', 'evt_3'],
    ['store.down', undefined, 'evt_4'],
  ]);
  clock.nowMs += 59_999;
  raise('limit.exceeded', 'key:a', {});
  expect(recorded).toHaveLength(4);
  clock.nowMs += 1;
  raise('limit.exceeded', 'key:a', {});
  expect(recorded).toHaveLength(5);
});

test('a clock that was set back silences nobody for long', () => {
  const { recorded, clock, raise } = setUp();
  raise('limit.exceeded', 'key:a', {});
  clock.nowMs -= 3_600_000;
  raise('limit.exceeded', 'key:a', {});
  expect(recorded).toHaveLength(2);
});

test('what is remembered has a bound', () => {
  const { recorded, raise } = setUp();
  for (let index = 0; index < 5_000; index++) raise('limit.exceeded', `key:${index}`, {});
  raise('limit.exceeded', 'key:4999', {});
  expect(recorded).toHaveLength(5_000);
  raise('limit.exceeded', 'key:0', {});
  expect(recorded).toHaveLength(5_001);
});
