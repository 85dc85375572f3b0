/**
 * A lock in shared memory, for sections of a microsecond that change several numbers at once. Two words: who holds it, and how many wait.
 *
 * A thread can be ended inside its section. Main then finds the lock held by the dead (`heldBy`), mends what the section guards, and unlocks in its name.
 */

const FREE = 0;
/** Sections are shorter than a switch of threads: on several cores the lock is free again before anybody slept. */
const SPINS = 100;
/** Bounds the sleep, should a wake-up be lost between two words. */
const NAP_MS = 1;

export const LOCK_WORDS = 2;

/** Waits until the lock at `words[at]` is ours. `owner` is unique per thread and not 0; not reentrant. */
export function lock(words: Int32Array, at: number, owner: number): void {
  for (let spin = 0; spin < SPINS; spin++) if (Atomics.compareExchange(words, at, FREE, owner) === FREE) return;
  Atomics.add(words, at + 1, 1);
  for (;;) {
    const holder = Atomics.compareExchange(words, at, FREE, owner);
    if (holder === FREE) break;
    Atomics.wait(words, at, holder, NAP_MS);
  }
  Atomics.sub(words, at + 1, 1);
}

/** False: somebody else has it, after some looks. For main, which may not wait for a thread that only main can bury. */
export function tryLock(words: Int32Array, at: number, owner: number): boolean {
  for (let spin = 0; spin < SPINS; spin++) if (Atomics.compareExchange(words, at, FREE, owner) === FREE) return true;
  return false;
}

export function unlock(words: Int32Array, at: number): void {
  Atomics.store(words, at, FREE);
  if (Atomics.load(words, at + 1) > 0) Atomics.notify(words, at, 1);
}

/** 0: nobody. */
export function heldBy(words: Int32Array, at: number): number {
  return Atomics.load(words, at);
}
