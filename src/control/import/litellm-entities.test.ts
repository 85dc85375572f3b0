import { expect, test } from 'vitest';

import { type LitellmRows, planEntities } from './litellm-entities.ts';

const NONE: LitellmRows = { budgets: [], orgs: [], teams: [], users: [], keys: [], orgMembers: [], teamMembers: [] };
const TEAM = { team_id: 't', members_with_roles: [{ user_id: 'u', role: 'user' }] };

function key(name: string, columns: object = {}): Record<string, unknown> {
  return { token: name.padEnd(64, '0'), key_alias: name, ...columns };
}

function plan(rows: Partial<LitellmRows>): ReturnType<typeof planEntities> {
  return planEntities({ ...NONE, teams: [TEAM], users: [{ user_id: 'u' }], ...rows }, new Map(), Date.UTC(2026, 2, 2));
}

const ofMember = { user_id: 'u', team_id: 't' };
const budgets = [{ budget_id: 'b', max_budget: 10, rpm_limit: 9, budget_duration: '7d' }];
const teamMembers = [{ ...ofMember, budget_id: 'b', spend: 4 }];

test('what bounds a person within a team binds his key there, beside what the key has itself', () => {
  const { keys, notes } = plan({
    budgets,
    teamMembers,
    keys: [key('a', { ...ofMember, max_budget: 3, rpm_limit: 20 }), key('b', { user_id: 'u' }), key('c', { team_id: 't' })],
  });
  expect(keys[0]?.body).toMatchObject({
    limits: { rpm: 9 },
    budgets: [
      { limit_usd: 10, window: 'week', hard: true },
      { limit_usd: 3, window: 'total', hard: true },
    ],
  });
  expect(keys[1]?.body).not.toHaveProperty('budgets');
  expect(keys[2]?.body).not.toHaveProperty('budgets');
  expect(notes.filter(({ place }) => place === 'key a')).toEqual([]);
});

test('several keys of one person in one team share it, and that is told; those that are left out have no share', () => {
  const expired = key('c', { ...ofMember, expires: '2020-01-01' });
  const { keys, notes } = plan({ budgets, teamMembers, keys: [key('a', ofMember), key('b', ofMember), expired] });
  expect(keys.map(({ body }) => body)).toMatchObject([
    { limits: { rpm: 4 }, budgets: [{ limit_usd: 5 }] },
    { limits: { rpm: 4 }, budgets: [{ limit_usd: 5 }] },
  ]);
  expect(notes).toContainEqual({
    place: 'key a',
    message: 'what bounds its user within the team is shared out among his 2 keys there',
  });
});

test.each([
  ['model_max_budget', { model_max_budget: { gpt: { budget_limit: 1 } } }],
  ['model_rpm_limit', { metadata: { model_rpm_limit: { gpt: 5 } } }],
  ['its guardrails', { metadata: { guardrails: ['pii'] } }],
])('a key that %s held back is taken over blocked', (word, columns) => {
  const { keys, notes } = plan({ keys: [key('a', columns)] });
  expect(keys[0]?.body['blocked']).toBe(true);
  expect(notes.find(({ message }) => message.includes('is taken over blocked'))?.message).toContain(word);
});

test('empty bounds hold nothing back', () => {
  const { keys } = plan({ keys: [key('a', { model_max_budget: {}, metadata: { guardrails: [], model_rpm_limit: {} } })] });
  expect(keys[0]?.body).not.toHaveProperty('blocked');
});
