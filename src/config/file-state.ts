import { realpath, stat } from 'node:fs/promises';

/** A text that changes when any of the files does, appears or goes away. Paths are absolute. */
export async function fingerprint(files: readonly string[]): Promise<string> {
  const states = await Promise.all(files.map(fileState));
  return states.join('\n');
}

/** Which file the path leads to now, and its state: Kubernetes swaps a directory's symlink, so the path itself never changes. */
async function fileState(path: string): Promise<string> {
  try {
    const target = await realpath(path);
    const { dev, ino, mtimeNs, size } = await stat(target, { bigint: true });
    return [target, dev, ino, mtimeNs, size].join(' ');
  } catch (error) {
    return `${path} ${(error as NodeJS.ErrnoException).code}`;
  }
}
