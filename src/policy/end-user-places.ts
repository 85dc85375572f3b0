/**
 * Main's side of limits for end users: at most so many are live, each with a place of its own in shared memory; all others share one, `end_user:other`. A place whose
 * end user was silent for a minute, and has nothing under way, may be given to another.
 */
import type { Budget, Limits, Scope, SlotKind } from '../core/rules.ts';
import { OTHER_PLACE, type PlaceMarks } from './end-user-memory.ts';

/** What holds for each end user. */
export interface EndUserRules {
  maxLive: number;
  limits: Limits;
  budgets: readonly Budget[];
}

/** Where an end user counts. It holds as long as the place has this generation. */
export interface EndUserPlace {
  scope: Scope;
  place: number;
  generation: number;
  slots: Readonly<Partial<Record<SlotKind, number>>>;
}

export interface EndUserPlaces {
  /** Before a configuration is in force: everybody asks anew, and finds what it wants. */
  configure(rules: EndUserRules | undefined): void;
  /** Rejects where a hard budget's past cannot be told; then he has no place. */
  placeOf(endUser: string): Promise<EndUserPlace>;
}

export interface EndUserPlacesParts {
  marks: PlaceMarks;
  slotOf: (scope: Scope, kind: SlotKind) => number;
  /** How many exchanges are under way at this slot of leases. */
  leased: (slot: number) => number;
  /** How much money exchanges have reserved in this account. */
  reserved: (slot: number) => number;
  /** Fills the account with what the scope has spent in the present window. */
  fill: (slot: number, scope: Scope, budget: Budget) => Promise<void>;
  /** Monotonic. */
  nowMs: () => number;
}

/** After a search for a silent place in vain, so long none is begun: newcomers may be many, and places too. */
const SEARCH_PAUSE_MS = 1_000;

/** What is longer ago has left every window of requests and tokens. */
const SILENT_MS = 62_000;

const OTHER_NAME = 'other';

interface Place {
  endUser: string | undefined;
  generation: number;
  slots: Partial<Record<SlotKind, number>>;
  /** Accounts that hold this end user's past, or will in a moment. */
  filled: Map<SlotKind, Promise<void>>;
}

interface Book {
  parts: EndUserPlacesParts;
  rules: EndUserRules;
  places: Place[];
  byName: Map<string, number>;
  /** Where the search for a silent place goes on, and when the next one may begin. */
  hand: number;
  searchAtMs: number;
}

export function createEndUserPlaces(parts: EndUserPlacesParts, first?: EndUserRules): EndUserPlaces {
  const asked = new Map<string, Promise<EndUserPlace>>();
  const rules = first ?? { maxLive: 0, limits: {}, budgets: [] };
  const book: Book = { parts, rules, places: [newPlace()], byName: new Map(), hand: 0, searchAtMs: -Infinity };
  return {
    configure: (next) => configure(book, next ?? { ...book.rules, maxLive: 0 }),
    placeOf(endUser) {
      const underWay = asked.get(endUser);
      if (underWay !== undefined) return underWay;
      const answer = placed(book, endUser).finally(() => asked.delete(endUser));
      asked.set(endUser, answer);
      return answer;
    },
  };
}

function configure(book: Book, rules: EndUserRules): void {
  book.rules = rules;
  book.searchAtMs = -Infinity;
  const kinds = new Set(rules.budgets.map(budgetKind));
  for (const [number, place] of book.places.entries()) {
    // Nothing is counted in an account without a budget: its past must be looked up when there is one again.
    place.filled = new Map([...place.filled].filter(([kind]) => kinds.has(kind)));
    if (number > rules.maxLive && place.endUser !== undefined) book.byName.delete(place.endUser);
    renew(book, number);
  }
}

async function placed(book: Book, endUser: string): Promise<EndUserPlace> {
  const number = find(book, endUser);
  const place = book.places[number]!;
  const scope: Scope = number === OTHER_PLACE ? `end_user:${OTHER_NAME}` : `end_user:${endUser}`;
  const slots = slotsOf(book, place, `end_user:#${number}`);
  try {
    await fillAll(book, place, scope);
  } catch (error) {
    // What was filled in part must be asked for again.
    renew(book, number);
    throw error;
  }
  return { scope, place: number, generation: place.generation, slots };
}

/** The place of this end user, or a free one that is now his; the common one where none is free. */
function find(book: Book, endUser: string): number {
  const { rules, places, byName, parts } = book;
  // Who is called like the common place shares it: one name must not stand for two accounts.
  if (endUser === OTHER_NAME) return OTHER_PLACE;
  const known = byName.get(endUser);
  if (known !== undefined) return known;
  const number = places.length <= rules.maxLive ? places.push(newPlace()) - 1 : silentPlace(book);
  if (number === OTHER_PLACE) return number;
  const before = places[number]!;
  if (before.endUser !== undefined) byName.delete(before.endUser);
  byName.set(endUser, number);
  places[number] = { ...before, endUser, filled: new Map() };
  renew(book, number);
  // Until he uses it himself.
  parts.marks.use(number);
  return number;
}

function silentPlace(book: Book): number {
  if (book.parts.nowMs() < book.searchAtMs) return OTHER_PLACE;
  const most = Math.min(book.places.length - 1, book.rules.maxLive);
  for (let looked = 0; looked < most; looked++) {
    book.hand = (book.hand % most) + 1;
    if (!isSilent(book, book.hand)) continue;
    renew(book, book.hand);
    // Who used it in between saw the old generation, and is seen here: then it stays his, by another.
    if (isSilent(book, book.hand)) return book.hand;
  }
  book.searchAtMs = book.parts.nowMs() + SEARCH_PAUSE_MS;
  return OTHER_PLACE;
}

function isSilent({ places, parts }: Book, number: number): boolean {
  if (parts.marks.idleMs(number) <= SILENT_MS) return false;
  const { concurrent, ...others } = places[number]!.slots;
  if (concurrent !== undefined && parts.leased(concurrent) > 0) return false;
  // Leases come back before money does: with the last byte of an answer, and with a worker that dies. What ended then would count for a stranger.
  return Object.entries(others).every(
    ([kind, slot]) => slot === undefined || !kind.startsWith('budget:') || parts.reserved(slot) === 0,
  );
}

function renew({ places, parts }: Book, number: number): void {
  places[number]!.generation = parts.marks.renew(number);
}

function slotsOf({ rules, parts }: Book, { slots }: Place, scope: Scope): EndUserPlace['slots'] {
  const kinds: SlotKind[] = ['concurrent'];
  if (rules.limits.rpm !== undefined) kinds.push('requests');
  if (rules.limits.tpm !== undefined) kinds.push('tokens');
  for (const kind of [...kinds, ...rules.budgets.map(budgetKind)]) slots[kind] ??= parts.slotOf(scope, kind);
  return { ...slots };
}

/** Each account once, whoever asks meanwhile: filling it again would wipe out what those who were first have reserved in it. */
async function fillAll({ rules, parts }: Book, { filled, slots }: Place, scope: Scope): Promise<void> {
  for (const budget of rules.budgets) {
    const kind = budgetKind(budget);
    let filling = filled.get(kind);
    if (filling === undefined) {
      filling = parts.fill(slots[kind]!, scope, budget);
      filled.set(kind, filling);
    }
    try {
      await filling;
    } catch (error) {
      if (filled.get(kind) === filling) filled.delete(kind);
      throw error;
    }
  }
}

function newPlace(): Place {
  return { endUser: undefined, generation: 0, slots: {}, filled: new Map() };
}

export function budgetKind({ window, timeZone }: Budget): SlotKind {
  return `budget:${window}:${timeZone}`;
}
