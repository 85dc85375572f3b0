/**
 * Whether this Node can and should run Signalbox. The first module that is loaded: it imports nothing and keeps to syntax that every
 * Node of the last years parses, so that an old one gets a sentence instead of a stack.
 */
const LEAST_MAJOR = 24;

/** The first release of each line that has the security fixes known when this version was made. */
const PATCHED: Readonly<Record<number, readonly [minor: number, patch: number]>> = { 24: [22, 1], 26: [12, 1] };

/** `version` without a leading `v`. `fatal`: must not start. */
export function nodeComplaint(version: string): { fatal: boolean; message: string } | undefined {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  if (major < LEAST_MAJOR)
    return { fatal: true, message: `Signalbox needs Node ${LEAST_MAJOR} or newer; this is Node ${version}` };
  const fixed = PATCHED[major];
  if (fixed === undefined) {
    return major % 2 === 0
      ? undefined
      : { fatal: false, message: `Node ${version} is of a short-lived line; run an even one, patched` };
  }
  if (minor > fixed[0] || (minor === fixed[0] && patch >= fixed[1])) return undefined;
  return { fatal: false, message: `Node ${version} lacks known security fixes; ${major}.${fixed.join('.')} or newer has them` };
}
