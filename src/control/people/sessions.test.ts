import { afterEach, beforeEach, expect, test } from 'vitest';

import { openStore } from '../../store/sql/open.ts';
import type { Store } from '../../store/store.ts';
import { SESSION_IDLE_MS, SESSION_MS, type Sessions, createSessions } from './sessions.ts';

const MINUTE = 60_000;
let store: Store;
let sessions: Sessions;
let nowMs: number;
let ids: number;

beforeEach(async () => {
  nowMs = 1_800_000_000_000;
  ids = 0;
  store = await openStore(':memory:');
  sessions = createSessions({
    store,
    nowMs: () => nowMs,
    random: (size) => Buffer.alloc(size, ++ids),
    newId: (prefix) => `${prefix}_${String(++ids).padStart(4, '0')}`,
  });
});
afterEach(() => store.close());

const open = (user = 'usr_ann') => sessions.open({ user, ip: '192.0.2.1', agent: 'A\nBrowser' });

test('a token opens its session and nothing else does; the store keeps neither it nor anything that opens', async () => {
  const { token, session } = await open();
  expect(token).toMatch(/^[\w-]{43}$/);
  expect(await sessions.find(token)).toEqual(session);
  expect(session).toMatchObject({ user: 'usr_ann', ip: '192.0.2.1', agent: 'A Browser' });
  const flipped = token.slice(0, -1) + (token.endsWith('A') ? 'Q' : 'A');
  for (const other of ['', session.id, flipped, `${token}=`, ` ${token}`, token.slice(0, 42), `${token}' or 1=1 --`])
    expect(await sessions.find(other)).toBeUndefined();
});

test('ends after half an hour without use; use keeps it, written to the minute', async () => {
  const { token } = await open();
  for (let hour = 0; hour < 4; hour++) {
    nowMs += SESSION_IDLE_MS - MINUTE;
    expect(await sessions.find(token)).toBeDefined();
  }
  nowMs += MINUTE / 2;
  const before = (await sessions.find(token))!.seenAtMs;
  nowMs += MINUTE / 4;
  expect((await sessions.find(token))!.seenAtMs).toBe(before);
  nowMs = before + SESSION_IDLE_MS;
  expect(await sessions.find(token)).toBeUndefined();
});

test('ends after twelve hours, however much it is used', async () => {
  const { token, session } = await open();
  for (; nowMs < session.createdAtMs + SESSION_MS - 10 * MINUTE; nowMs += 10 * MINUTE)
    expect(await sessions.find(token)).toBeDefined();
  nowMs = session.createdAtMs + SESSION_MS;
  expect(await sessions.find(token)).toBeUndefined();
  expect(await sessions.get(session.id)).toBeUndefined();
  expect(await sessions.list({ limit: 10 })).toEqual([]);
});

test('what has ended goes with the next sign-on', async () => {
  const { session } = await open();
  nowMs += SESSION_IDLE_MS + 1;
  await open('usr_ben');
  expect(await store.people.sessionOf(session.id)).toBeUndefined();
  expect(await sessions.list({ limit: 10 })).toHaveLength(1);
});

test('one that is ended is gone at once', async () => {
  const { token, session } = await open();
  await sessions.end(session.id);
  expect(await sessions.find(token)).toBeUndefined();
});
