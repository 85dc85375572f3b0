/**
 * What LiteLLM bounds a person to within one team, over all his keys there. Here keys, people and teams have bounds, and a person in a team has none: each of his
 * keys in it gets an equal share, so that together they are never more.
 */
import { type ImportedRules, rulesOf } from './litellm-rules.ts';
import { type Fields, textOf } from './note.ts';

/** The share of one more key of that member; undefined: nothing bounds him there. */
export type MemberShare = (key: Fields, note: (message: string) => void) => ImportedRules | undefined;

interface MemberRows {
  memberships: readonly Fields[];
  budgets: ReadonlyMap<string, Fields>;
  /** All keys that are carried over. */
  keys: readonly Fields[];
}

export function memberShares({ memberships, budgets, keys }: MemberRows): MemberShare {
  const bounds = new Map(memberships.map((row) => [memberOf(row), row]));
  const counts = Map.groupBy(keys, memberOf);
  return (key, note) => {
    const member = memberOf(key);
    const row = member === undefined ? undefined : bounds.get(member);
    if (row === undefined) return undefined;
    const whole = rulesOf(row, budgets.get(String(row['budget_id'])) ?? {}, note);
    const sharers = counts.get(member)?.length ?? 1;
    if (sharers > 1 && Object.keys(whole).length > 0)
      note(`what bounds its user within the team is shared out among his ${sharers} keys there`);
    return shareOf(whole, sharers);
  };
}

/** Undefined for what belongs to no member of a team. */
function memberOf(row: Fields): string | undefined {
  const [user, team] = [textOf(row['user_id']), textOf(row['team_id'])];
  return user === undefined || team === undefined ? undefined : `${team}/${user}`;
}

function shareOf({ limits, budgets }: ImportedRules, sharers: number): ImportedRules {
  return {
    ...(limits && {
      limits: Object.fromEntries(Object.entries(limits).map(([name, most]) => [name, Math.floor(most / sharers)])),
    }),
    ...(budgets && { budgets: budgets.map((budget) => ({ ...budget, limit_usd: budget.limit_usd / sharers })) }),
  };
}
