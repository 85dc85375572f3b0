/**
 * A worker's journal: the append-only file in which the data plane records its facts, and the only way they leave the worker.
 *
 * What is appended within one turn of the event loop is written by one system call at its end. A write that returned survives `kill -9`
 * of the process (the page cache is the kernel's). Whether it survives the loss of power too is `ledger.sync`: never, within a second, or before money is
 * spent.
 */
import { closeSync, fdatasync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { Fact } from '../core/fact.ts';
import { FRAME_HEADER_BYTES, MAX_PAYLOAD_BYTES, writeFrame } from './journal-frame.ts';
import { type SyncFiles, type SyncMode, type Syncs, createSyncs } from './journal-sync.ts';

const SEGMENT_BYTES = 16 * 1024 * 1024;
const FIRST_BUFFER_BYTES = 64 * 1024;
const KEPT_BUFFER_BYTES = 1024 * 1024;
const MAX_PENDING_BYTES = 8 * 1024 * 1024;
const RETRY_MS = 500;
/** Main learns of new facts at most this often per worker. */
const ANNOUNCE_MS = 100;

/** Up to where a segment is written, and whether the worker has left it for the next one. */
export interface JournalPosition {
  file: string;
  offset: number;
  closed: boolean;
}

export interface Journal {
  /** Recorded by the end of this turn of the event loop; while the disk refuses, kept in memory up to 8 MiB and tried again. */
  append(fact: Fact): void;
  /** Writes what is pending now. False: the disk refused it. */
  flush(): boolean;
  /** Writes what is pending now, and under `always` has it on the disk; concurrent calls share one sync. False: the disk refused it. */
  commit(): boolean | Promise<boolean>;
  /** When what is written goes to the disk; `interval` at first. */
  setSync(mode: SyncMode): void;
  /** Flushes, tells main, leaves the segment. Nothing may be appended after. */
  close(): void;
}

/** The calls on files, so that a test can refuse them. */
export interface JournalFiles extends SyncFiles {
  open: (path: string) => number;
  write: (fd: number, bytes: Buffer, position: number) => number;
}

export interface JournalOptions {
  dir: string;
  worker: number;
  /** Unique per thread; segments are `w{worker}-{boot}-{segment}.jnl`. */
  boot: string;
  announce: (position: JournalPosition) => void;
  /** Writing began to fail. */
  onTrouble: (error: Error) => void;
  /** All that was pending is written again. */
  onRecovered: () => void;
  /** So many facts found no room, in memory or in a frame. */
  onLost: (facts: number) => void;
  files?: JournalFiles;
  segmentBytes?: number;
  maxPendingBytes?: number;
}

const SYSTEM_FILES: JournalFiles = {
  open: (path) => openSync(path, 'wx', 0o600),
  // Synchronous on purpose: 5-15 µs into the page cache, against a hop through the thread pool for every turn.
  write: (fd, bytes, position) => writeSync(fd, bytes, 0, bytes.length, position),
  close: closeSync,
  sync: promisify(fdatasync),
  syncNow: fdatasyncSync,
};

function segmentName(worker: number, boot: string, segment: number): string {
  return `w${worker}-${boot}-${String(segment).padStart(6, '0')}.jnl`;
}

export function createJournal(options: JournalOptions): Journal {
  const segments = createSegments(options);
  const writer = createWriter(options, segments);
  return { ...writer, commit: () => writer.flush() && segments.committed(), setSync: segments.setSync };
}

/** Facts wait here for the end of the turn; for longer while the disk refuses them. */
function createWriter(options: JournalOptions, segments: Segments): Pick<Journal, 'append' | 'flush' | 'close'> {
  let pending = Buffer.allocUnsafe(FIRST_BUFFER_BYTES);
  let end = 0;
  let lostFacts = 0;
  let failing = false;
  let scheduled: NodeJS.Immediate | undefined;
  let retry: NodeJS.Timeout | undefined;

  const flush = (): boolean => {
    clearImmediate(scheduled);
    scheduled = undefined;
    try {
      if (end > 0) segments.write(pending.subarray(0, end));
    } catch (error) {
      if (!failing) options.onTrouble(error as Error);
      failing = true;
      clearTimeout(retry);
      retry = setTimeout(flush, RETRY_MS).unref();
      return false;
    }
    end = 0;
    if (pending.length > KEPT_BUFFER_BYTES) pending = Buffer.allocUnsafe(FIRST_BUFFER_BYTES);
    segments.written();
    report();
    return true;
  };
  const report = (): void => {
    if (failing) options.onRecovered();
    if (lostFacts > 0) options.onLost(lostFacts);
    failing = false;
    lostFacts = 0;
    clearTimeout(retry);
  };
  const hasRoom = (bytes: number): boolean => {
    const limit = options.maxPendingBytes ?? MAX_PENDING_BYTES;
    if (end + bytes > limit && (failing || !flush())) return false;
    if (end + bytes > pending.length) pending = grown(pending, end, end + bytes);
    return true;
  };
  return {
    append: (fact) => {
      const text = JSON.stringify(fact);
      const bytes = Buffer.byteLength(text);
      if (bytes > MAX_PAYLOAD_BYTES || !hasRoom(bytes + FRAME_HEADER_BYTES)) {
        lostFacts++;
        return;
      }
      end = writeFrame(pending, end, text, bytes);
      if (!failing) scheduled ??= setImmediate(flush);
    },
    flush,
    close: () => {
      flush();
      clearTimeout(retry);
      segments.close();
    },
  };
}

interface Segments {
  /** All of it, or it throws. */
  write: (bytes: Buffer) => void;
  written: () => void;
  committed: Syncs['now'];
  setSync: Syncs['setMode'];
  close: () => void;
}

/** The file under way: opened at the first write, left when full; main is told from here. */
function createSegments(options: JournalOptions): Segments {
  const files = options.files ?? SYSTEM_FILES;
  let segment = 0;
  let fd: number | undefined;
  let position = 0;
  let announcing: NodeJS.Timeout | undefined;

  const file = (): string => segmentName(options.worker, options.boot, segment);
  const announce = (closed: boolean): void => {
    clearTimeout(announcing);
    announcing = undefined;
    options.announce({ file: file(), offset: position, closed });
  };
  const syncs = createSyncs(files, { current: () => fd, onFailure: () => leave(syncs.giveUp) });
  const leave = (close: Syncs['leave']): void => {
    if (fd === undefined) return;
    announce(true);
    close(fd);
    fd = undefined;
    segment++;
    position = 0;
  };
  return {
    write: (bytes) => {
      fd ??= files.open(join(options.dir, file()));
      for (let at = 0; at < bytes.length;) at += files.write(fd, bytes.subarray(at), position + at);
      // Only now: whoever reads is never sent into a frame that the disk had no room to end. It is written again from its beginning, here or in the next segment.
      position += bytes.length;
      syncs.soon();
    },
    committed: syncs.now,
    setSync: syncs.setMode,
    written: () => {
      if (position >= (options.segmentBytes ?? SEGMENT_BYTES)) leave(syncs.leave);
      else if (position > 0) announcing ??= setTimeout(announce, ANNOUNCE_MS, false).unref();
    },
    close: () => leave(syncs.end),
  };
}

function grown(buffer: Buffer<ArrayBuffer>, used: number, needed: number): Buffer<ArrayBuffer> {
  let size = buffer.length;
  while (size < needed) size *= 2;
  const larger = Buffer.allocUnsafe(size);
  buffer.copy(larger, 0, 0, used);
  return larger;
}
