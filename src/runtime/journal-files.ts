/**
 * Names of a journal's segments. `w{worker}-{boot}-{segment}.jnl`; with `.read` behind it once main has read it whole. Main reads for the log, metrics and
 * traces; the store imports; the store deletes what both have done with.
 */
import { renameSync, statSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const SEGMENT = /^(w\d+-[^-]+)-(\d+)\.jnl(\.read)?$/;
const READ = '.read';

export interface SegmentFile {
  /** Without `.read`. */
  file: string;
  /** Thread that wrote it, `w{worker}-{boot}`. */
  thread: string;
  /** Its number within the thread. */
  segment: number;
  bytes: number;
  /** Main has done with it. */
  isRead: boolean;
}

/** The parts of a segment's name; undefined for any other file. */
export function segmentOf(name: string): Omit<SegmentFile, 'bytes'> | undefined {
  const [, thread, segment, read] = SEGMENT.exec(name) ?? [];
  if (thread === undefined || segment === undefined) return undefined;
  return { file: name.replace(READ, ''), thread, segment: Number(segment), isRead: read !== undefined };
}

/** All that lie in the folder, those of a thread in their order. */
export function listSegments(dir: string): SegmentFile[] {
  return readdirSync(dir)
    .sort()
    .flatMap((name) => {
      const segment = segmentOf(name);
      const bytes = segment === undefined ? undefined : sizeOf(dir, segment.file);
      return segment === undefined || bytes === undefined ? [] : [{ ...segment, bytes }];
    });
}

/** Main may give it its other name at any moment. */
function sizeOf(dir: string, file: string): number | undefined {
  const [unread, read] = pathsOf(dir, file);
  const found = statSync(unread, { throwIfNoEntry: false }) ?? statSync(read, { throwIfNoEntry: false });
  return found?.size;
}

/** Main has read it whole. */
export function markRead(dir: string, file: string): void {
  renameSync(join(dir, file), join(dir, `${file}${READ}`));
}

/** Where it lies, whether main has read it or not yet. */
export function pathsOf(dir: string, file: string): [unread: string, read: string] {
  return [join(dir, file), join(dir, `${file}${READ}`)];
}
