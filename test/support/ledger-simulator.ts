/**
 * A deterministic simulator of the ledger: several workers with real accounts, journals that lose what was not yet written, a store that reads
 * them late, twice and in any order, threads and processes that die between any two steps, windows that end, limits that change. One seed, one schedule.
 *
 * Throws an Error that names the seed where an invariant breaks:
 * - a grant never brings spent and reserved of an account above its limit;
 * - every entry ends exactly once, and reading records again changes nothing;
 * - the ledger's sum of a window never exceeds what the limit was at most, but for the floors of those whose end was lost in a crash;
 * - memory never counts less than the ledger, and after a restart exactly as much;
 * - where nothing is under way, nothing is reserved.
 */
import type { Fact } from '../../src/core/fact.ts';
import type { AccountsOverview } from '../../src/ledger/accounts-overview.ts';
import { createAccountsOverview } from '../../src/ledger/accounts-overview.ts';
import { type Accounts, type Hold, openAccounts } from '../../src/ledger/accounts.ts';
import { type OpenReservations, createOpenReservations } from '../../src/ledger/open-reservations.ts';
import { type Entry, type Move, nextEntry } from '../../src/ledger/state.ts';

const ACCOUNTS = 3;
const STEPS = 48;

/** A record of a journal, with what the simulated provider and store must know. */
interface Line {
  id: string;
  move: Move;
  holds: readonly Hold[];
}

interface Thread {
  name: string;
  worker: number;
  accounts: Accounts;
  buffer: Line[];
  written: Line[];
  /** Read by main so far. */
  seenByMain: number;
}

type Phase = 'reserved' | 'journaled' | 'dispatched';

interface Attempt {
  id: string;
  thread: Thread;
  phase: Phase;
  reserved: number;
  floor: number;
  /** What the provider bills in the end. */
  truth: number;
  holds: Hold[];
}

interface Box {
  seed: number;
  next: (below: number) => number;
  overview: AccountsOverview;
  open: OpenReservations;
  threads: Thread[];
  /** All that ever wrote a journal. */
  journals: Thread[];
  attempts: Attempt[];
  limits: number[];
  /** By slot: the highest limit since the window began. */
  highest: number[];
  windowStartMs: number;
  started: number;
  store: Store;
  /** By slot and window: floors charged although the end had been booked, because its record was lost. */
  slack: Map<string, number>;
}

interface Store {
  entries: Map<string, Entry>;
  holds: Map<string, readonly Hold[]>;
  /** Position by thread. */
  positions: Map<string, number>;
  ends: Map<string, number>;
}

/** Throws where an invariant breaks. */
export async function simulate(seed: number): Promise<void> {
  const next = randomFrom(seed);
  const workers = 1 + next(3);
  const box: Box = {
    seed,
    next,
    overview: createAccountsOverview(ACCOUNTS, workers),
    open: createOpenReservations(),
    threads: [],
    journals: [],
    attempts: [],
    limits: Array.from({ length: ACCOUNTS }, () => 50 + next(200)),
    highest: [],
    windowStartMs: 1_000,
    started: 0,
    store: { entries: new Map(), holds: new Map(), positions: new Map(), ends: new Map() },
    slack: new Map(),
  };
  box.highest = [...box.limits];
  for (let worker = 0; worker < workers; worker++) startThread(box, worker);
  for (let step = 0; step < STEPS; step++) await STEP_TABLE[next(STEP_TABLE.length)]!(box);
  await settleAll(box);
  checkMemory(box, 'at the end');
  await restart(box);
  checkReplay(box);
}

/** Steps by how often they come. */
const STEP_TABLE: readonly ((box: Box) => Promise<void> | void)[] = [
  ...Array<typeof reserve>(8).fill(reserve),
  ...Array<typeof goOn>(14).fill(goOn),
  ...Array<typeof flush>(6).fill(flush),
  ...Array<typeof importSome>(5).fill(importSome),
  readSome,
  readSome,
  changeLimit,
  passWindow,
  crashThread,
  crashThread,
  restart,
];

function reserve(box: Box): void {
  const thread = pick(box, box.threads);
  const slots = [0, 1, 2].filter(() => box.next(2) === 0);
  const least = 1 + box.next(40);
  const want = least + box.next(60);
  // A clock may stand behind, or be set back; a window that has begun goes on all the same.
  const behindMs = box.next(8) === 0 ? 1_000 : 0;
  const windowStartMs = box.windowStartMs - behindMs;
  const demands = slots.map((slot) => ({ slot, windowStartMs, limitNanoUsd: box.limits[slot]! }));
  const granted = thread.accounts.reserve(demands, { wantNanoUsd: want, leastNanoUsd: least });
  if (!granted.ok) {
    const { demand, bySpent, spentNanoUsd, reservedNanoUsd } = granted;
    const left = box.limits[demands[demand]!.slot]! - spentNanoUsd - (bySpent ? 0 : reservedNanoUsd);
    if (left >= least) fail(box, 'refused although it fits');
    const spentOut = demands.some(({ slot, limitNanoUsd }) => limitNanoUsd - box.overview.read(slot).spentNanoUsd < least);
    if (spentOut !== bySpent) fail(box, 'the reason of a refusal is wrong');
    return;
  }
  for (const slot of slots) {
    const { spentNanoUsd, reservedNanoUsd } = box.overview.read(slot);
    if (spentNanoUsd + reservedNanoUsd > box.limits[slot]!) fail(box, `granted above the limit of account ${slot}`);
  }
  const reserved = granted.grantedNanoUsd;
  const floor = 1 + box.next(least);
  const truth = floor + box.next(Math.max(1, reserved - floor + 1));
  const id = `ex_${++box.started} 0`;
  box.attempts.push({ id, thread, phase: 'reserved', reserved, floor, truth, holds: granted.holds });
}

/** One step of one exchange: journal, dispatch, checkpoint, or end. */
function goOn(box: Box): void {
  if (box.attempts.length === 0) return;
  const attempt = pick(box, box.attempts);
  if (attempt.phase === 'reserved') {
    append(attempt, { type: 'reserve', nanoUsd: attempt.reserved, floorNanoUsd: attempt.floor });
    // Written before it is dispatched, whatever else waits in the buffer.
    if (box.next(4) > 0) write(attempt.thread);
    attempt.phase = 'journaled';
  } else if (attempt.phase === 'journaled') {
    write(attempt.thread);
    attempt.phase = 'dispatched';
  } else if (box.next(3) === 0) {
    append(attempt, { type: 'checkpoint', nanoUsd: attempt.floor + box.next(attempt.truth - attempt.floor + 1) });
  } else end(box, attempt, box.next(5) === 0 ? { type: 'release' } : { type: 'settle', nanoUsd: attempt.truth });
}

/** Accounts and record in one turn, as the gateway does. */
function end(box: Box, attempt: Attempt, move: Extract<Move, { type: 'settle' | 'release' }>): void {
  attempt.thread.accounts.settle(attempt.holds, move.type === 'settle' ? move.nanoUsd : 0);
  append(attempt, move);
  box.attempts = box.attempts.filter((each) => each !== attempt);
}

function append({ id, holds, thread }: Attempt, move: Move): void {
  thread.buffer.push({ id, move, holds });
}

function flush(box: Box): void {
  write(pick(box, box.threads));
}

function write(thread: Thread): void {
  thread.written.push(...thread.buffer);
  thread.buffer = [];
}

/** The store reads a piece of any journal, sometimes from before where it had stopped. */
function importSome(box: Box): void {
  const thread = pick(box, box.journals);
  const position = box.store.positions.get(thread.name) ?? 0;
  const from = box.next(4) === 0 ? box.next(position + 1) : position;
  const to = Math.min(thread.written.length, from + 1 + box.next(6));
  for (const line of thread.written.slice(from, to)) take(box, line);
  box.store.positions.set(thread.name, Math.max(position, to));
}

function take(box: Box, { id, move, holds }: Line): void {
  const { entries, ends } = box.store;
  const before = entries.get(id);
  const after = nextEntry(before, move);
  if (after === undefined) return;
  if (!box.store.holds.has(id)) box.store.holds.set(id, holds);
  entries.set(id, after);
  if (after.state !== 'open' && (before === undefined || before.state === 'open')) ends.set(id, (ends.get(id) ?? 0) + 1);
  if (before !== undefined && before.state !== 'open' && after !== before) fail(box, `${id} changed after its end`);
}

function readSome(box: Box): void {
  readByMain(box, pick(box, box.threads));
}

function readByMain(box: Box, thread: Thread): void {
  for (const line of thread.written.slice(thread.seenByMain)) box.open.observe(factOf(line), thread.name);
  thread.seenByMain = thread.written.length;
}

function changeLimit(box: Box): void {
  const slot = box.next(ACCOUNTS);
  box.limits[slot] = 20 + box.next(250);
  box.highest[slot] = Math.max(box.highest[slot]!, box.limits[slot]);
}

function passWindow(box: Box): void {
  box.windowStartMs += 1_000;
  box.highest = [...box.limits];
}

async function crashThread(box: Box): Promise<void> {
  const thread = pick(box, box.threads);
  noteLost(box, thread);
  box.overview.repair(thread.worker);
  const held = await box.overview.takeOver(thread.worker);
  box.threads = box.threads.filter((each) => each !== thread);
  startThread(box, thread.worker);
  // Others go on while main reads what the dead one left.
  for (let step = box.next(4); step > 0; step--) reserve(box);
  box.attempts = box.attempts.filter((attempt) => attempt.thread !== thread);
  readByMain(box, thread);
  await box.overview.giveBack(held, box.open.expire(thread.name));
  expireInStore(box, thread);
  checkMemory(box, 'after a thread died');
}

/** Ends that were booked in memory and never written: their reservations will be charged at least their floor. */
function noteLost(box: Box, thread: Thread): void {
  const reservedIn = new Map<string, number>();
  for (const { id, move } of thread.written) if (move.type === 'reserve') reservedIn.set(id, move.floorNanoUsd);
  for (const { id, move, holds } of thread.buffer) {
    if (move.type !== 'settle' && move.type !== 'release') continue;
    if (!reservedIn.has(id)) fail(box, `${id} was dispatched before it was journaled`);
    const checkpoints = thread.written.flatMap((line) =>
      line.id === id && line.move.type === 'checkpoint' ? [line.move.nanoUsd] : [],
    );
    const charged = Math.max(reservedIn.get(id)!, ...checkpoints);
    for (const { slot, windowStartMs } of holds) add(box.slack, `${slot} ${windowStartMs}`, charged);
  }
}

/** All of a dead thread's journal, then what it left open. */
function expireInStore(box: Box, thread: Thread): void {
  for (const line of thread.written) take(box, line);
  box.store.positions.set(thread.name, thread.written.length);
  for (const id of new Set(thread.written.map((line) => line.id))) take(box, { id, move: { type: 'expire' }, holds: [] });
}

/** kill -9: memory and buffers are gone; the store reads all journals, and accounts are loaded from it. */
async function restart(box: Box): Promise<void> {
  for (const thread of box.threads) noteLost(box, thread);
  for (const thread of box.threads) expireInStore(box, thread);
  const workers = box.threads.length;
  box.attempts = [];
  box.threads = [];
  box.overview = createAccountsOverview(ACCOUNTS, workers);
  box.open = createOpenReservations();
  for (let slot = 0; slot < ACCOUNTS; slot++) await box.overview.load(slot, box.windowStartMs, ledgerSum(box, slot));
  for (let worker = 0; worker < workers; worker++) startThread(box, worker);
  for (let slot = 0; slot < ACCOUNTS; slot++) {
    const { spentNanoUsd, reservedNanoUsd } = box.overview.read(slot);
    if (spentNanoUsd !== ledgerSum(box, slot) || reservedNanoUsd !== 0) fail(box, `account ${slot} differs after a restart`);
    const most = box.highest[slot]! + (box.slack.get(`${slot} ${box.windowStartMs}`) ?? 0);
    if (spentNanoUsd > most) fail(box, `account ${slot} spent ${spentNanoUsd} of ${most}`);
  }
}

async function settleAll(box: Box): Promise<void> {
  while (box.attempts.length > 0) goOn(box);
  for (const thread of box.threads) write(thread);
  for (const thread of box.threads) readByMain(box, thread);
  for (const journal of box.journals) expireInStore(box, journal);
  for (let slot = 0; slot < ACCOUNTS; slot++) {
    const { windowStartMs, reservedNanoUsd } = box.overview.read(slot);
    if (windowStartMs === box.windowStartMs && reservedNanoUsd !== 0)
      fail(box, `${reservedNanoUsd} stay reserved in account ${slot}`);
  }
  for (const thread of box.threads) {
    if (box.open.expire(thread.name).length > 0) fail(box, 'a reservation is open where nothing is under way');
  }
}

/** What is written decides; memory may know more, never less. */
function checkMemory(box: Box, when: string): void {
  for (let slot = 0; slot < ACCOUNTS; slot++) {
    const { windowStartMs, spentNanoUsd } = box.overview.read(slot);
    if (windowStartMs === box.windowStartMs && spentNanoUsd < ledgerSum(box, slot)) fail(box, `memory forgot spending ${when}`);
  }
}

function ledgerSum(box: Box, slot: number): number {
  let sum = 0;
  for (const [id, entry] of box.store.entries) {
    if (entry.state === 'open') continue;
    const hold = box.store.holds.get(id)?.find((each) => each.slot === slot);
    if (hold?.windowStartMs === box.windowStartMs) sum += entry.nanoUsd;
  }
  return sum;
}

/** All journals once more, in any order, each several times: the same ledger. */
function checkReplay(box: Box): void {
  const before = textOf(box.store.entries);
  for (const [id, count] of box.store.ends) if (count !== 1) fail(box, `${id} ended ${count} times`);
  for (const [id, entry] of box.store.entries) if (entry.state === 'open') fail(box, `${id} never ended`);
  const lines = box.journals.flatMap(({ written }) => written);
  for (let round = 0; round < lines.length; round++) take(box, pick(box, lines));
  for (const line of lines) take(box, line);
  if (textOf(box.store.entries) !== before) fail(box, 'a second reading changed the ledger');
  const fresh: Store = { entries: new Map(), holds: new Map(), positions: new Map(), ends: new Map() };
  const ended = new Map([...box.store.entries].filter(([, { state }]) => state !== 'expired'));
  box.store = fresh;
  for (const line of lines) take(box, line);
  for (const [id, entry] of ended) {
    if (JSON.stringify(fresh.entries.get(id)) !== JSON.stringify(entry)) fail(box, `${id} differs when all is read anew`);
  }
}

function textOf(entries: Store['entries']): string {
  return [...entries]
    .map(([id, entry]) => `${id} ${JSON.stringify(entry)}`)
    .sort()
    .join();
}

function startThread(box: Box, worker: number): void {
  const name = `w${worker}-${box.journals.length}`;
  const thread: Thread = {
    name,
    worker,
    accounts: openAccounts(box.overview.memory, worker),
    buffer: [],
    written: [],
    seenByMain: 0,
  };
  box.threads.push(thread);
  box.journals.push(thread);
}

function factOf({ id, move, holds }: Line): Fact {
  const [exchange = '', attempt] = id.split(' ');
  const base = { id: exchange, attempt: Number(attempt) };
  if (move.type === 'checkpoint') return { kind: 'checkpoint', ...base, atMs: 0, nanoUsd: move.nanoUsd };
  if (move.type !== 'reserve') return { kind: 'exchange', id: exchange } as Fact;
  const { nanoUsd, floorNanoUsd } = move;
  return { kind: 'reserve', ...base, nanoUsd, floorNanoUsd, holds } as unknown as Fact;
}

function pick<Item>(box: Box, items: readonly Item[]): Item {
  return items[box.next(items.length)]!;
}

function add(sums: Map<string, number>, key: string, value: number): void {
  sums.set(key, (sums.get(key) ?? 0) + value);
}

function fail(box: Box, what: string): never {
  throw new Error(`schedule ${box.seed}: ${what}`);
}

/** mulberry32: small, fast, and the same everywhere. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below) | 0;
  };
}
