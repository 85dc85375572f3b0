/** What becomes of a person whom the provider sends to a place that is not there. The way of a person through a whole Signalbox is in test/e2e. */
import { expect, test } from 'vitest';

import type { VouchedPerson } from '../../core/person.ts';
import type { Membership, User } from '../../store/ports/entities.ts';
import { type AdmitParts, createAdmit } from './admit.ts';

const PERSON: VouchedPerson = {
  issuer: 'https://id.example.com',
  subject: 'ann',
  name: 'Ann',
  memberships: [
    { group: 'team_gone', role: 'member' },
    { group: 'team_red', role: 'member' },
  ],
  decided: ['team_gone', 'team_red'],
  creatable: true,
};

function setUp() {
  const user = { kind: 'user', id: 'usr_ann', name: 'Ann', role: 'none', blocked: false } as User;
  const held: Membership[] = [];
  const audited: string[] = [];
  const warned: unknown[] = [];
  const there = new Map<string, object>([
    ['team_red', { kind: 'team', id: 'team_red' }],
    ['usr_ann', user],
  ]);
  const store = {
    people: { identity: () => Promise.resolve({ user: user.id }) },
    entities: {
      get: (_kind: string, id: string) => Promise.resolve(there.get(id)),
      membershipsOf: () => Promise.resolve([...held]),
    },
  } as unknown as AdmitParts['store'];
  const set = (membership: Membership) => {
    held.push(membership);
    return Promise.resolve({ after: membership, inForce: true });
  };
  const admit = createAdmit({
    store,
    directory: { members: { set } } as unknown as AdmitParts['directory'],
    audit: () =>
      Promise.resolve({
        begin: ({ action }) => {
          audited.push(action);
          return Promise.resolve({ done: () => Promise.resolve(), failed: () => Promise.resolve() });
        },
      }),
    nowMs: () => 0,
    log: (_level, fields) => void warned.push(fields),
  });
  return { admit, held, audited, warned };
}

test.each(['sign_on', 'token'] as const)('by %s: the call is made where he is, and nothing is done twice', async (by) => {
  const { admit, held, audited, warned } = setUp();
  expect(await admit(PERSON, by)).toEqual({ user: 'usr_ann', team: 'team_red' });
  expect(await admit(PERSON, by)).toEqual({ user: 'usr_ann', team: 'team_red' });
  expect(held).toEqual([{ user: 'usr_ann', group: 'team_red', role: 'member' }]);
  expect(audited).toEqual(['user.follow_claims']);
  expect(warned).toContainEqual({ group: 'team_gone' });
});
