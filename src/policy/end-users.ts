/** A worker's side of limits for end users: it knows those it has met, and asks main for the others. */
import type { Rules } from '../core/rules.ts';
import { createLru } from '../lib/lru.ts';
import { OTHER_PLACE, type PlaceMarks } from './end-user-memory.ts';
import { type EndUserPlace, type EndUserRules, budgetKind } from './end-user-places.ts';

export interface EndUsers {
  /** A promise where main must be asked; it rejects where main cannot tell. */
  rulesOf(endUser: string, rules: EndUserRules): Rules | Promise<Rules>;
}

export interface EndUsersParts {
  marks: PlaceMarks;
  ask: (endUser: string) => Promise<EndUserPlace>;
  nowMs: () => number;
}

const REMEMBERED = 20_000;
/** Who shares the common place asks so often whether there is one of his own by now. */
const SHARED_MS = 1_000;

interface Known {
  place: EndUserPlace;
  /** Made of these, and of no others. */
  from: EndUserRules;
  rules: Rules;
  untilMs: number;
}

export function createEndUsers({ marks, ask, nowMs }: EndUsersParts): EndUsers {
  const known = createLru<string, Known>(REMEMBERED);

  const stillHolds = (each: Known | undefined, rules: EndUserRules): each is Known =>
    each !== undefined &&
    each.from === rules &&
    marks.use(each.place.place) === each.place.generation &&
    (each.untilMs === Infinity || nowMs() < each.untilMs);

  async function askFor(endUser: string, rules: EndUserRules): Promise<Rules> {
    for (;;) {
      const place = await ask(endUser);
      const untilMs = place.place === OTHER_PLACE ? nowMs() + SHARED_MS : Infinity;
      const found = { place, from: rules, rules: placed(place, rules), untilMs };
      // Between the answer and its arrival the place may have gone to another.
      if (!stillHolds(found, rules)) continue;
      known.set(endUser, found);
      return found.rules;
    }
  }

  return {
    rulesOf(endUser, rules) {
      const mine = known.get(endUser);
      return stillHolds(mine, rules) ? mine.rules : askFor(endUser, rules);
    },
  };
}

/**
 * The lease is there in any case: while one is out, main gives the place to nobody else. What has no slot is no rule of main's any more: this worker has yet to hear of
 * the new configuration.
 */
function placed({ scope, slots }: EndUserPlace, { limits: { rpm, tpm, concurrent = Infinity }, budgets }: EndUserRules): Rules {
  return {
    scope,
    ...(rpm !== undefined && slots.requests !== undefined && { requests: { slot: slots.requests, perMinute: rpm } }),
    ...(tpm !== undefined && slots.tokens !== undefined && { tokens: { slot: slots.tokens, perMinute: tpm } }),
    ...(slots.concurrent !== undefined && { concurrent: { slot: slots.concurrent, most: concurrent } }),
    budgets: budgets.flatMap((budget) => {
      const slot = slots[budgetKind(budget)];
      return slot === undefined ? [] : [{ ...budget, slot }];
    }),
  };
}
