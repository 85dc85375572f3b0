import { describe, expect, it } from 'vitest';

import type { ConsoleSession } from '../../src/store/ports/people.ts';
import { forEachStore } from '../support/stores.ts';

const NOW = 1_800_000_000_000;

function session(id: string, more: Partial<ConsoleSession> = {}): ConsoleSession {
  return {
    id,
    user: 'usr_ann',
    createdAtMs: NOW,
    seenAtMs: NOW,
    endsAtMs: NOW + 1_000,
    ip: '192.0.2.1',
    agent: 'Browser',
    ...more,
  };
}

forEachStore((_kind, open) => {
  describe('identities', () => {
    it('are of one user each, by issuer and subject to the letter', async () => {
      const { people } = (await open()).store;
      const ann = { issuer: 'https://id.example.com', subject: 's-1', user: 'usr_ann', linkedAtMs: NOW };
      await people.link(ann);
      expect(await people.identity('https://id.example.com', 's-1')).toEqual(ann);
      for (const [issuer, subject] of [
        ['https://id.example.com/', 's-1'],
        ['https://id.example.com', 'S-1'],
        ['https://id.example.com', "s-1' or '1'='1"],
        ['https://id.example.com', 's-%'],
      ] as const)
        expect(await people.identity(issuer, subject)).toBeUndefined();
    });

    it('move only away from whom the caller knows', async () => {
      const { people } = (await open()).store;
      const identity = { issuer: 'i', subject: 's', linkedAtMs: NOW };
      await people.link({ ...identity, user: 'usr_ann' });
      await expect(people.link({ ...identity, user: 'usr_ben' })).rejects.toMatchObject({ code: 'conflict' });
      await expect(people.link({ ...identity, user: 'usr_ben' }, 'usr_other')).rejects.toMatchObject({ code: 'conflict' });
      await people.link({ ...identity, user: 'usr_ben' }, 'usr_ann');
      expect((await people.identity('i', 's'))?.user).toBe('usr_ben');
    });
  });

  describe('sessions', () => {
    it('are found by digest and by id, seen, ended', async () => {
      const { people } = (await open()).store;
      await people.openSession(session('ses_1'), 'digest-1');
      expect(await people.session('digest-1')).toEqual(session('ses_1'));
      expect(await people.sessionOf('ses_1')).toEqual(session('ses_1'));
      expect(await people.session('ses_1')).toBeUndefined();
      await people.seen('digest-1', NOW + 5);
      expect((await people.session('digest-1'))?.seenAtMs).toBe(NOW + 5);
      await people.endSession('ses_1');
      expect(await people.session('digest-1')).toBeUndefined();
      await expect(people.openSession(session('ses_2'), 'digest-2')).resolves.toBeUndefined();
      await expect(people.openSession(session('ses_3'), 'digest-2')).rejects.toMatchObject({ code: 'conflict' });
    });

    it('are listed while they are good, page by page, of one user or all', async () => {
      const { people } = (await open()).store;
      const rows = [
        session('ses_1'),
        session('ses_2', { user: 'usr_ben' }),
        session('ses_3', { endsAtMs: NOW }),
        session('ses_4', { seenAtMs: NOW - 60 }),
        session('ses_5'),
      ];
      for (const row of rows) await people.openSession(row, `digest-${row.id}`);
      const good = { nowMs: NOW, seenAfterMs: NOW - 60, limit: 10 };
      const ids = async (more: object) => (await people.sessions({ ...good, ...more })).map(({ id }) => id);
      expect(await ids({})).toEqual(['ses_1', 'ses_2', 'ses_5']);
      expect(await ids({ user: 'usr_ann' })).toEqual(['ses_1', 'ses_5']);
      expect(await ids({ limit: 1, afterId: 'ses_1' })).toEqual(['ses_2']);
      await people.forgetSessions({ endedBeforeMs: NOW + 1, seenBeforeMs: NOW - 59 });
      expect(await people.sessionOf('ses_3')).toBeUndefined();
      expect(await people.sessionOf('ses_4')).toBeUndefined();
      await people.forgetSessions({ user: 'usr_ann' });
      expect(await ids({})).toEqual(['ses_2']);
    });
  });
});
