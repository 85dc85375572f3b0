import { expect, test } from 'vitest';

import type { Actor } from './contract/actor.ts';
import { createPace } from './pace.ts';

const person = (id: string, role: 'admin' | 'none' = 'none'): Actor => ({
  kind: 'user',
  id,
  name: id,
  role,
  orgs: {},
  teams: {},
});

function paceAt(): { pace: (actor: Actor) => boolean; later: (ms: number) => void } {
  let nowMs = 1_000_000;
  const pace = createPace(() => nowMs);
  return {
    pace: (actor) => {
      try {
        pace(actor);
        return true;
      } catch (thrown) {
        expect(thrown).toMatchObject({ code: 'rate_limited', details: { retryAfterS: 1 } });
        return false;
      }
    },
    later: (ms) => (nowMs += ms),
  };
}

test('120 changes at once, then one each half second, and all of them again after a minute', () => {
  const { pace, later } = paceAt();
  const many = (): number => Array.from({ length: 300 }, () => pace(person('a'))).filter(Boolean).length;
  expect(many()).toBe(120);
  later(500);
  expect(many()).toBe(1);
  later(60_000);
  expect(many()).toBe(120);
});

test('nobody waits for somebody else; the admin key and admins of the installation never do', () => {
  const { pace } = paceAt();
  for (let count = 0; count < 200; count++) {
    pace(person('a'));
    expect(pace({ kind: 'root' })).toBe(true);
    expect(pace(person('b', 'admin'))).toBe(true);
  }
  expect(pace(person('c'))).toBe(true);
});
