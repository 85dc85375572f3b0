/**
 * Brings the journals into the store: each segment from its own position on, in batches, and deleted when it is wholly in the store and main has read it too.
 * Runs in the store's thread. Rejections of the store are the caller's to wait out: nothing is lost, positions stand still.
 */
import { appendFileSync, closeSync, existsSync, openSync, readSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

import type { Fact } from '../core/fact.ts';
import type { FactsPort } from '../store/ports/facts.ts';
import { isAboutContent } from '../store/sql/errors.ts';
import { type Store, StoreError } from '../store/store.ts';
import { listSegments, pathsOf, segmentOf } from './journal-files.ts';
import { FRAME_HEADER_BYTES, MAX_PAYLOAD_BYTES, readFrames } from './journal-frame.ts';
import type { JournalPosition } from './journal.ts';
import type { Log } from './messages.ts';

/** Some three thousand facts, which SQLite takes in about 150 ms: what waits for an answer meanwhile waits no longer, and pages are written once for many. */
const CHUNK_BYTES = 2 * 1024 * 1024;
/** Facts that the store refuses for what they hold, one JSON a line: for a person to look at. */
const SET_ASIDE = 'set-aside.jsonl';

export interface JournalImport {
  /** A live worker wrote this far. */
  announce(position: JournalPosition): void;
  /** Main has read that segment whole. */
  left(file: string): void;
  /** The thread `w{worker}-{boot}` is gone: all that it left is imported, and what it had reserved expires. */
  gone(thread: string): void;
  /** At the start: takes up what lies on disk; threads that are not alive are gone. */
  open(alive: readonly string[]): Promise<void>;
  /** One piece of the work; false: there is none now. Rejects where the store does. */
  step(): Promise<boolean>;
  /** Written and not yet in the store. */
  lagBytes(): number;
  /** New facts since the start, and reservations that expired. */
  counts(): { facts: number; expired: number };
}

export interface ImportOptions {
  store: Pick<Store, 'facts'>;
  node: string;
  dir: string;
  log: Log;
  chunkBytes?: number;
}

interface Segment {
  file: string;
  thread: string;
  segment: number;
  imported: number;
  known: number;
  closed: boolean;
  isRead: boolean;
  fd?: number;
}

interface Journals {
  options: ImportOptions;
  /** In the order of their names within a thread. */
  segments: Map<string, Segment>;
  /** Threads whose reservations expire when their segments are in. */
  expiring: Set<string>;
  counts: { facts: number; expired: number };
}

export function createJournalImport(options: ImportOptions): JournalImport {
  const journals: Journals = { options, segments: new Map(), expiring: new Set(), counts: { facts: 0, expired: 0 } };
  const { segments, counts } = journals;
  return {
    announce: (position) => {
      note(journals, { ...position, bytes: position.offset, isRead: false });
    },
    left: (file) => {
      const segment = segments.get(file);
      if (segment !== undefined) segment.isRead = true;
    },
    gone: (thread) => {
      // Its last segment may be in and deleted already: a thread that throws closes its journal before it is found dead.
      journals.expiring.add(thread);
      takeDead(journals, (name) => name === thread);
    },
    open: async (alive) => {
      const positions = await options.store.facts.positions(options.node);
      takeUp(journals, positions, alive);
      const forgotten = Object.keys(positions).filter((file) => !segments.has(file));
      await options.store.facts.forget(options.node, forgotten);
      counts.expired += await options.store.facts.expire(options.node, { except: [...journals.expiring, ...alive] });
    },
    step: () => step(journals),
    lagBytes: () => [...segments.values()].reduce((sum, { known, imported }) => sum + Math.max(0, known - imported), 0),
    counts: () => ({ ...counts }),
  };
}

/** What an earlier life of the store's thread, or of the process, left. */
function takeUp(journals: Journals, positions: Readonly<Record<string, number>>, alive: readonly string[]): void {
  takeDead(journals, (thread) => !alive.includes(thread));
  for (const { file, thread, bytes, isRead } of listSegments(journals.options.dir)) {
    if (alive.includes(thread)) note(journals, { file, bytes, closed: isRead, isRead });
  }
  for (const segment of journals.segments.values()) segment.imported = positions[segment.file] ?? 0;
}

/** Nothing more is written by these: their files are what there will ever be. */
function takeDead(journals: Journals, isDead: (thread: string) => boolean): void {
  for (const { file, thread, bytes, isRead } of listSegments(journals.options.dir)) {
    if (!isDead(thread)) continue;
    journals.expiring.add(thread);
    note(journals, { file, bytes, closed: true, isRead });
  }
  for (const segment of journals.segments.values()) {
    if (!isDead(segment.thread)) continue;
    journals.expiring.add(segment.thread);
    segment.closed = true;
  }
}

/** A thread that writes a segment has left all earlier ones. */
function note({ segments }: Journals, seen: { file: string; bytes: number; closed: boolean; isRead: boolean }): void {
  const name = segmentOf(seen.file);
  if (name === undefined) return;
  const segment = segments.get(seen.file) ?? { ...name, imported: 0, known: 0, closed: false };
  segments.set(seen.file, segment);
  segment.known = Math.max(segment.known, seen.bytes);
  segment.closed ||= seen.closed;
  segment.isRead ||= seen.isRead;
  for (const earlier of segments.values()) {
    if (earlier.thread === segment.thread && earlier.segment < segment.segment) earlier.closed = true;
  }
}

async function step(journals: Journals): Promise<boolean> {
  const segment = nextSegment(journals);
  if (segment !== undefined) {
    if (segment.imported < segment.known) await importChunk(journals, segment);
    else await remove(journals, segment);
    return true;
  }
  const thread = [...journals.expiring].find((each) => isImported(journals, each));
  if (thread === undefined) return false;
  const { store, node } = journals.options;
  journals.counts.expired += await store.facts.expire(node, { only: [thread] });
  journals.expiring.delete(thread);
  return true;
}

/** Of each thread the first that is not wholly imported, else one that can be deleted. */
function nextSegment({ segments }: Journals): Segment | undefined {
  const all = [...segments.values()].sort((a, b) => a.segment - b.segment);
  return (
    all.find(({ imported, known }) => imported < known) ??
    all.find(({ closed, isRead, imported, known }) => closed && isRead && imported >= known)
  );
}

function isImported({ segments }: Journals, thread: string): boolean {
  return [...segments.values()].every((segment) => segment.thread !== thread || segment.imported >= segment.known);
}

async function importChunk(journals: Journals, segment: Segment): Promise<void> {
  const { options } = journals;
  if (!isThere(options.dir, segment)) {
    options.log('error', { file: segment.file }, 'a journal segment is gone before the store had it');
    Object.assign(segment, { known: segment.imported, closed: true, isRead: true });
    return;
  }
  const unread = segment.known - segment.imported;
  let bytes = readBytes(segment, Math.min(unread, options.chunkBytes ?? CHUNK_BYTES));
  let frames = readFrames(bytes);
  // A frame larger than a chunk.
  if (frames.consumed === 0 && !frames.damaged) {
    bytes = readBytes(segment, Math.min(unread, MAX_PAYLOAD_BYTES + FRAME_HEADER_BYTES));
    frames = readFrames(bytes);
  }
  if (frames.payloads.length > 0) await importPayloads(journals, segment, frames.payloads);
  else {
    const lostBytes = segment.known - segment.imported;
    options.log(
      'warn',
      { file: segment.file, lostBytes },
      'the tail of a journal segment was torn; the store has what stands before it',
    );
    await put(journals, segment, [], lostBytes);
  }
}

/** All at once; where the store refuses one of them for what it holds, one by one, and that one is set aside. */
async function importPayloads(journals: Journals, segment: Segment, payloads: readonly string[]): Promise<void> {
  const facts = payloads.map((payload) => JSON.parse(payload) as Fact);
  try {
    await put(
      journals,
      segment,
      facts,
      payloads.reduce((sum, payload) => sum + frameBytes(payload), 0),
    );
  } catch (error) {
    if (!isRefused(error)) throw error;
    for (const payload of payloads) await putOrSetAside(journals, segment, payload);
  }
}

async function putOrSetAside(journals: Journals, segment: Segment, payload: string): Promise<void> {
  const { dir, log } = journals.options;
  try {
    await put(journals, segment, [JSON.parse(payload) as Fact], frameBytes(payload));
  } catch (error) {
    if (!isRefused(error)) throw error;
    appendFileSync(join(dir, SET_ASIDE), `${payload}\n`, { mode: 0o600 });
    log(
      'error',
      { file: segment.file, error: String((error as Error).cause ?? error) },
      `the store refused a fact; it lies in ${SET_ASIDE}`,
    );
    await put(journals, segment, [], frameBytes(payload));
  }
}

function frameBytes(payload: string): number {
  return Buffer.byteLength(payload) + FRAME_HEADER_BYTES;
}

/** Everything else may pass: a table that is locked away, a right that was taken. Facts that were set aside would not come back by themselves. */
function isRefused(error: unknown): boolean {
  return error instanceof StoreError && isAboutContent(error);
}

/** The position is the store's: after an answer that got lost it stands further than we know. */
async function put(journals: Journals, segment: Segment, facts: readonly Fact[], bytes: number): Promise<void> {
  const { store, node } = journals.options;
  const { file, thread, imported } = segment;
  const batch = { node, file, thread, fromByte: imported, toByte: imported + bytes, facts };
  const { taken, position } = await store.facts.import(batch);
  journals.counts.facts += taken;
  segment.imported = position;
}

function isThere(dir: string, segment: Segment): boolean {
  const path = pathsOf(dir, segment.file).find((each) => existsSync(each));
  if (path !== undefined) segment.fd ??= openSync(path, 'r');
  return segment.fd !== undefined;
}

/** Bytes from where the store stands. */
function readBytes(segment: Segment, length: number): Buffer {
  const buffer = Buffer.allocUnsafe(length);
  return buffer.subarray(0, readSync(segment.fd!, buffer, 0, length, segment.imported));
}

async function remove({ options, segments }: Journals, segment: Segment): Promise<void> {
  const { facts }: { facts: FactsPort } = options.store;
  await facts.durable();
  if (segment.fd !== undefined) closeSync(segment.fd);
  delete segment.fd;
  for (const path of pathsOf(options.dir, segment.file)) if (existsSync(path)) unlinkSync(path);
  segments.delete(segment.file);
  await facts.forget(options.node, [segment.file]);
}
