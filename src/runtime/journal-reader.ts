/**
 * Reads what the workers journal and hands every fact on once, in its worker's order.
 *
 * Runs on the main thread and must not block it: reads are asynchronous, and one turn decodes at most one chunk.
 * Back-pressure is the file: what is not yet read lies on disk. What becomes of a segment that is left by its worker and wholly read is the caller's.
 */
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';

import type { Fact } from '../core/fact.ts';
import type { JournalPosition } from './journal.ts';
import { FRAME_HEADER_BYTES, type Frames, MAX_PAYLOAD_BYTES, readFrames } from './journal-frame.ts';
import type { Log } from './messages.ts';

/** Some hundred facts: decoding and handing them on takes about 2 ms. */
const CHUNK_BYTES = 64 * 1024;
const SEGMENT_NAME = /^(w\d+-[^-]+)-\d+\.jnl$/;

export interface JournalReader {
  /** A worker wrote this far. */
  announce: (position: JournalPosition) => void;
  /** The thread behind `w{worker}-{boot}` is gone: reads all that it left, torn tail tolerated, and finishes it. */
  retire: (worker: number, boot: string) => Promise<void>;
  /** Reads and finishes what earlier runs left; answers how many facts that were. Before any worker starts. */
  recover: () => Promise<number>;
  /** Announced and not yet handed on. */
  lagBytes: () => number;
  /** Resolves when all that was announced is handed on. */
  idle: () => Promise<void>;
}

export interface JournalReaderOptions {
  dir: string;
  /** `recovered`: from an earlier run. `thread`: `w{worker}-{boot}`. What it throws is logged and does not stop the reading. */
  sink: (fact: Fact, recovered: boolean, thread: string) => void;
  /** A segment is wholly read and will not grow. What it rejects with is logged, and the segment finished again later. */
  finished: (file: string) => Promise<void>;
  log: Log;
  chunkBytes?: number;
}

interface Segment {
  file: string;
  read: number;
  known: number;
  closed: boolean;
  /** From an earlier run. */
  recovered: boolean;
  handle?: FileHandle;
}

type Hand = (payload: string, segment: Segment) => void;

export function createJournalReader(options: JournalReaderOptions): JournalReader {
  /** Per thread (`w0-boot`), its segments in order. */
  const streams = new Map<string, Segment[]>();
  const retired = new Set<string>();
  let pumping: Promise<void> | undefined;
  let facts = 0;

  const hand = (payload: string, { file, recovered }: Segment): void => {
    facts++;
    try {
      options.sink(JSON.parse(payload) as Fact, recovered, streamOf(file) ?? file);
    } catch (error) {
      options.log('error', { error }, 'a fact could not be handed on');
    }
  };
  const pump = (): Promise<void> => {
    pumping ??= pumpAll(streams, (segment) => readChunk(segment, options, hand)).finally(() => {
      pumping = undefined;
    });
    return pumping;
  };
  // Twice: what was announced while a round was about to end is seen by the next one.
  const idle = async (): Promise<void> => {
    await pump();
    await pump();
  };
  /** Everything on disk of the threads whose name passes, up to its present length, as closed. */
  const takeFiles = async (wanted: (stream: string) => boolean, recovered: boolean): Promise<void> => {
    for (const file of (await readdir(options.dir)).sort()) {
      const stream = streamOf(file);
      if (stream === undefined || !wanted(stream)) continue;
      const { size } = await stat(join(options.dir, file));
      note(streams, { file, offset: size, closed: true }, recovered);
    }
    await idle();
  };
  return {
    announce: (position) => {
      const stream = streamOf(position.file);
      if (stream === undefined || retired.has(stream)) return;
      note(streams, position, false);
      void pump();
    },
    retire: async (worker, boot) => {
      const gone = `w${worker}-${boot}`;
      retired.add(gone);
      // What it announced is read and finished before its files are looked for, else one could vanish under the search.
      await idle();
      await takeFiles((stream) => stream === gone, false);
    },
    recover: async () => {
      await takeFiles(() => true, true);
      return facts;
    },
    lagBytes: () => [...streams.values()].flat().reduce((sum, segment) => sum + segment.known - segment.read, 0),
    idle,
  };
}

function streamOf(file: string): string | undefined {
  return SEGMENT_NAME.exec(file)?.[1];
}

function note(streams: Map<string, Segment[]>, position: JournalPosition, recovered: boolean): void {
  const stream = streamOf(position.file) ?? position.file;
  const segments = streams.get(stream) ?? [];
  streams.set(stream, segments);
  let segment = segments.find((known) => known.file === position.file);
  if (segment === undefined) {
    segment = { file: position.file, read: 0, known: 0, closed: false, recovered };
    segments.push(segment);
  }
  segment.known = Math.max(segment.known, position.offset);
  segment.closed ||= position.closed;
}

/** A stream has work while its first segment has unread bytes, or is only waiting to be deleted. */
function hasWork(segments: Segment[]): boolean {
  const [first] = segments;
  return first !== undefined && (first.read < first.known || first.closed);
}

/** One chunk of every thread in turn, until nothing announced is left. A thread whose file cannot be read waits for the next round. */
async function pumpAll(streams: Map<string, Segment[]>, read: (segment: Segment) => Promise<boolean>): Promise<void> {
  const stuck = new Set<string>();
  for (let worked = true; worked;) {
    worked = false;
    for (const [stream, segments] of streams) {
      const [segment] = segments;
      if (segment === undefined || stuck.has(stream) || !hasWork(segments)) continue;
      worked = true;
      if (!(await read(segment))) stuck.add(stream);
      else if (isDone(segment)) segments.shift();
      if (segments.length === 0) streams.delete(stream);
      await nextTurn();
    }
  }
}

function isDone(segment: Segment): boolean {
  return segment.closed && segment.read === segment.known;
}

/** False: the file could not be read; nothing is lost, the position stays. */
async function readChunk(segment: Segment, options: JournalReaderOptions, hand: Hand): Promise<boolean> {
  const path = join(options.dir, segment.file);
  try {
    if (segment.read < segment.known) {
      segment.handle ??= await open(path, 'r');
      await readFacts(segment, segment.handle, options, hand);
    }
    if (isDone(segment)) {
      await segment.handle?.close();
      delete segment.handle;
      await options.finished(segment.file);
    }
    return true;
  } catch (error) {
    options.log('error', { error, file: segment.file }, 'a journal segment cannot be read now; its facts stay on disk');
    return false;
  }
}

async function readFacts(segment: Segment, handle: FileHandle, options: JournalReaderOptions, hand: Hand): Promise<void> {
  const unread = segment.known - segment.read;
  let frames = await readAt(handle, segment.read, Math.min(unread, options.chunkBytes ?? CHUNK_BYTES));
  // A frame larger than a chunk.
  if (frames.consumed === 0 && !frames.damaged) {
    frames = await readAt(handle, segment.read, Math.min(unread, MAX_PAYLOAD_BYTES + FRAME_HEADER_BYTES));
  }
  for (const payload of frames.payloads) hand(payload, segment);
  segment.read += frames.consumed;
  if (frames.damaged || frames.consumed === 0) {
    const lostBytes = segment.known - segment.read;
    options.log('warn', { file: segment.file, lostBytes }, 'the tail of a journal segment was torn');
    segment.read = segment.known;
  }
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Frames> {
  const buffer = Buffer.allocUnsafe(length);
  const { bytesRead } = await handle.read(buffer, 0, length, position);
  return readFrames(buffer.subarray(0, bytesRead));
}
