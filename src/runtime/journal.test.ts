import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, truncateSync, writeFileSync, writeSync, openSync, closeSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';

import type { Fact } from '../core/fact.ts';
import { FRAME_HEADER_BYTES, readFrames, writeFrame } from './journal-frame.ts';
import { type JournalReader, createJournalReader } from './journal-reader.ts';
import { type JournalFiles, type JournalOptions, type JournalPosition, createJournal } from './journal.ts';

/** Announcements and retries are timed; a busy machine is late. */
const PATIENTLY = { timeout: 10_000, interval: 5 };

let dir = '';
let seen: { id: string; recovered: boolean }[] = [];
let logged: string[] = [];
let reader: JournalReader;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'journal-'));
  seen = [];
  logged = [];
  reader = newReader();
});

function newReader(): JournalReader {
  return createJournalReader({
    dir,
    sink: (fact, recovered) => seen.push({ id: fact.id, recovered }),
    finished: (file) => unlink(join(dir, file)),
    log: (_level, _fields, message) => logged.push(message),
    chunkBytes: 4096,
  });
}

function fact(id: number | string, text = ''): Fact {
  return { kind: 'exchange', id: String(id), errorMessage: text } as Fact;
}

function journalOf(options: Partial<JournalOptions> = {}): ReturnType<typeof createJournal> {
  return createJournal({
    dir,
    worker: 0,
    boot: 'b',
    announce: (position) => reader.announce(position),
    onTrouble: () => undefined,
    onRecovered: () => undefined,
    onLost: () => undefined,
    ...options,
  });
}

const ids = (): string[] => seen.map((one) => one.id);
const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => String(index));

test('frames: whatever was written is read back, at every cut the whole ones and no more', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme', minLength: 1 }), { minLength: 1, maxLength: 8 }),
      fc.nat(),
      (texts, cut) => {
        const buffer = Buffer.alloc(texts.reduce((sum, text) => sum + Buffer.byteLength(text) + FRAME_HEADER_BYTES, 0));
        const ends: number[] = [];
        let end = 0;
        for (const text of texts) ends.push((end = writeFrame(buffer, end, text, Buffer.byteLength(text))));
        expect(readFrames(buffer)).toEqual({ payloads: texts, consumed: buffer.length, damaged: false });
        const at = cut % (buffer.length + 1);
        const whole = ends.filter((one) => one <= at).length;
        expect(readFrames(buffer.subarray(0, at)).payloads).toEqual(texts.slice(0, whole));
      },
    ),
  );
});

test('frames: a flipped byte is noticed', () => {
  const buffer = Buffer.alloc(40);
  const end = writeFrame(buffer, 0, '{"id":"1"}', 10);
  for (let at = 4; at < end; at++) {
    const damaged = Buffer.from(buffer.subarray(0, end));
    damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
    expect(readFrames(damaged)).toMatchObject({ payloads: [], damaged: true });
  }
});

test('facts of a turn are one write, arrive in order, and the finished segment is deleted', async () => {
  const writes: number[] = [];
  const journal = journalOf({ files: counting(writes) });
  for (const id of numbers(500)) journal.append(fact(id));
  expect(writes).toEqual([]);
  await expect.poll(() => ids().length, PATIENTLY).toBe(500);
  expect(writes).toHaveLength(1);
  expect(ids()).toEqual(numbers(500));
  expect(reader.lagBytes()).toBe(0);
  expect(readdirSync(dir)).toEqual(['w0-b-000000.jnl']);
  journal.close();
  await reader.idle();
  expect(readdirSync(dir)).toEqual([]);
});

test('a full segment is left for the next one, and deleted once read', async () => {
  const journal = journalOf({ segmentBytes: 10_000 });
  for (let round = 0; round < 10; round++) {
    for (let id = 0; id < 20; id++) journal.append(fact(round * 20 + id, 'x'.repeat(100)));
    journal.flush();
  }
  const segments = readdirSync(dir);
  expect(segments.length).toBeGreaterThan(1);
  await expect.poll(() => ids().length, PATIENTLY).toBe(200);
  await reader.idle();
  expect(ids()).toEqual(numbers(200));
  expect(readdirSync(dir).length).toBeLessThan(segments.length);
  journal.close();
  await reader.idle();
  expect(readdirSync(dir)).toEqual([]);
});

test('what a run left behind is read once, as recovered, its torn tail dropped', async () => {
  const journal = journalOf({ announce: () => undefined });
  for (const id of numbers(50)) journal.append(fact(id));
  journal.flush();
  const file = join(dir, 'w0-b-000000.jnl');
  truncateSync(file, readFileSync(file).length - 3);
  expect(await reader.recover()).toBe(49);
  expect(ids()).toEqual(numbers(49));
  expect(seen.every((one) => one.recovered)).toBe(true);
  expect(logged).toEqual(['the tail of a journal segment was torn']);
  expect(readdirSync(dir)).toEqual([]);
  expect(await newReader().recover()).toBe(0);
});

test('damage in the middle costs the rest of its segment, never another one', async () => {
  writeFileSync(join(dir, 'w0-a-000000.jnl'), Buffer.alloc(500));
  const journal = journalOf({ announce: () => undefined });
  journal.append(fact('sound'));
  journal.flush();
  expect(await reader.recover()).toBe(1);
  expect(ids()).toEqual(['sound']);
});

test('a dead worker: what it wrote and never announced is read, and nothing twice', async () => {
  let last: JournalPosition | undefined;
  const journal = journalOf({ announce: (position) => (last = position) });
  for (const id of numbers(10)) journal.append(fact(id));
  journal.flush();
  await expect.poll(() => last, PATIENTLY).toBeDefined();
  if (last !== undefined) reader.announce(last);
  await reader.idle();
  expect(ids()).toEqual(numbers(10));
  journal.append(fact('unannounced'));
  journal.flush();
  await reader.retire(0, 'b');
  if (last !== undefined) reader.announce(last);
  await reader.idle();
  expect(ids()).toEqual([...numbers(10), 'unannounced']);
  expect(seen.some((one) => one.recovered)).toBe(false);
  expect(readdirSync(dir)).toEqual([]);
});

test('a full disk: facts wait in memory, the trouble is told once, and all arrive when there is room again', async () => {
  const troubles: string[] = [];
  let recovered = 0;
  const disk = { full: true };
  const journal = journalOf({
    files: fillable(disk),
    onTrouble: (error) => troubles.push(error.message),
    onRecovered: () => recovered++,
  });
  journal.append(fact(0));
  expect(journal.flush()).toBe(false);
  for (const id of numbers(20).slice(1)) journal.append(fact(id));
  expect(journal.flush()).toBe(false);
  expect(troubles).toEqual(['ENOSPC: no space left']);
  disk.full = false;
  await expect.poll(() => recovered, PATIENTLY).toBe(1);
  journal.close();
  await reader.idle();
  expect(ids()).toEqual(numbers(20));
});

test('a full disk for too long: memory stays bounded and the loss is counted', async () => {
  const lost: number[] = [];
  const disk = { full: true };
  const journal = journalOf({ files: fillable(disk), maxPendingBytes: 2_000, onLost: (count) => lost.push(count) });
  for (let id = 0; id < 100; id++) journal.append(fact(id, 'x'.repeat(100)));
  disk.full = false;
  expect(journal.flush()).toBe(true);
  expect(lost).toHaveLength(1);
  expect(lost[0]).toBeGreaterThan(80);
  journal.close();
  await reader.idle();
  expect(ids()).toHaveLength(100 - (lost[0] ?? 0));
});

test('a write cut short is carried on where it ended', async () => {
  const files: JournalFiles = {
    ...fillable({ full: false }),
    write: (fd, bytes, position) => writeSync(fd, bytes, 0, Math.min(bytes.length, 7), position),
  };
  const journal = journalOf({ files });
  for (const id of numbers(30)) journal.append(fact(id));
  journal.close();
  await reader.idle();
  expect(ids()).toEqual(numbers(30));
});

test('a disk that fills up within a frame: nobody is told of half a frame, and all arrive when there is room again', async () => {
  let room = Infinity;
  const files: JournalFiles = {
    ...fillable({ full: false }),
    write: (fd, bytes, position) => {
      if (room <= 0) throw new Error('ENOSPC: no space left');
      const count = writeSync(fd, bytes, 0, Math.min(bytes.length, room), position);
      room -= count;
      return count;
    },
  };
  let recovered = 0;
  const journal = journalOf({ files, onRecovered: () => recovered++ });
  journal.append(fact(0));
  journal.flush();
  // The announcement of what stands there is still to come when the next write ends within a frame.
  room = 20;
  journal.append(fact(1));
  expect(journal.flush()).toBe(false);
  await expect.poll(ids, PATIENTLY).toEqual(['0']);
  await reader.idle();
  room = Infinity;
  await expect.poll(() => recovered, PATIENTLY).toBe(1);
  for (const id of ['2', '3']) journal.append(fact(id));
  journal.close();
  await reader.idle();
  expect(ids()).toEqual(numbers(4));
  expect(logged).toEqual([]);
});

test('a sink that throws does not stop the reading', async () => {
  reader = createJournalReader({
    dir,
    sink: (one) => {
      if (one.id === '1') throw new Error('sink');
      seen.push({ id: one.id, recovered: false });
    },
    finished: (file) => unlink(join(dir, file)),
    log: (_level, _fields, message) => logged.push(message),
  });
  const journal = journalOf();
  for (const id of numbers(3)) journal.append(fact(id));
  journal.close();
  await reader.idle();
  expect(ids()).toEqual(['0', '2']);
  expect(logged).toEqual(['a fact could not be handed on']);
});

test('kill -9 loses no fact that was flushed', async () => {
  const child = spawn(process.execPath, [new URL('../../test/fixtures/journal-writer.ts', import.meta.url).pathname, dir]);
  let acknowledged = 0;
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      acknowledged = Number(chunk.toString().trim().split('\n').at(-1) ?? acknowledged);
      if (acknowledged >= 1_000) resolve();
    });
  });
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  await sleep(20);
  expect(await reader.recover()).toBeGreaterThanOrEqual(acknowledged);
  expect(ids()).toEqual(numbers(seen.length));
});

test('under `always`, what is committed was synced after it was written; concurrent commits share a sync', async () => {
  const did: string[] = [];
  const files: JournalFiles = {
    ...fillable({ full: false }),
    write: (fd, bytes, position) => {
      did.push('write');
      return writeSync(fd, bytes, 0, bytes.length, position);
    },
    sync: async () => {
      did.push('sync');
      await sleep(5);
      did.push('synced');
    },
  };
  const journal = journalOf({ files });
  journal.append(fact(0));
  expect(journal.commit()).toBe(true);
  journal.setSync('always');
  journal.append(fact(1));
  const first = journal.commit();
  await sleep(1);
  const others = [fact(2), fact(3), fact(4)].map((each) => {
    journal.append(each);
    return journal.commit();
  });
  expect(await Promise.all([first, ...others])).toEqual([true, true, true, true]);
  expect(did).toEqual(['write', 'write', 'sync', 'write', 'write', 'write', 'synced', 'sync', 'synced']);
  journal.close();
  await reader.idle();
});

test('a sync that fails refuses what waits for it, and later facts go into another file', async () => {
  const disk = { broken: true };
  const sync = (): Promise<void> => (disk.broken ? Promise.reject(new Error('EIO')) : Promise.resolve());
  const journal = journalOf({ files: { ...fillable({ full: false }), sync } });
  journal.setSync('always');
  journal.append(fact(0));
  expect(await journal.commit()).toBe(false);
  disk.broken = false;
  journal.append(fact(1));
  expect(await journal.commit()).toBe(true);
  journal.close();
  await reader.idle();
  expect(ids()).toEqual(numbers(2));
});

test('a file is closed only after its last sync, and the last of all before the thread ends', async () => {
  const did: string[] = [];
  const files: JournalFiles = {
    ...fillable({ full: false }),
    sync: async () => {
      await sleep(3);
      did.push('synced');
    },
    syncNow: () => did.push('synced at once'),
    close: (fd) => {
      did.push('closed');
      closeSync(fd);
    },
  };
  const journal = journalOf({ files, segmentBytes: 10 });
  journal.append(fact(0));
  journal.flush();
  await sleep(20);
  expect(did).toEqual(['synced', 'closed']);
  const last = journalOf({ files, boot: 'c' });
  last.append(fact(1));
  last.close();
  expect(did).toEqual(['synced', 'closed', 'synced at once', 'closed']);
  await reader.idle();
});

function counting(writes: number[]): JournalFiles {
  return {
    ...fillable({ full: false }),
    write: (fd, bytes, position) => {
      writes.push(bytes.length);
      return writeSync(fd, bytes, 0, bytes.length, position);
    },
  };
}

function fillable(disk: { full: boolean }): JournalFiles {
  return {
    open: (path) => openSync(path, 'wx'),
    write: (fd, bytes, position) => {
      if (disk.full) throw new Error('ENOSPC: no space left');
      return writeSync(fd, bytes, 0, bytes.length, position);
    },
    close: closeSync,
    sync: () => Promise.resolve(),
    syncNow: () => {},
  };
}
