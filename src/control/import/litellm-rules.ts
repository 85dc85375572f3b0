/** LiteLLM's limits, budgets and model grants as ours: never more than before, and where it cannot be the same, less. */
import { grantProblem } from '../../config/values.ts';
import { type Fields, fieldsOf, listOf, numberOf, textOf } from './note.ts';

interface ImportedBudget {
  limit_usd: number;
  window: 'hour' | 'day' | 'week' | 'month' | 'total';
  hard: boolean;
}

export interface ImportedRules {
  limits?: Record<string, number>;
  budgets?: ImportedBudget[];
}

/** A row's own settings go before those of the budget row that it names. */
export function rulesOf(row: Fields, linked: Fields, note: (message: string) => void): ImportedRules {
  const pick = (name: string): unknown => row[name] ?? linked[name];
  const limits = Object.fromEntries(
    Object.entries({ rpm: 'rpm_limit', tpm: 'tpm_limit', concurrent: 'max_parallel_requests' }).flatMap(([ours, theirs]) => {
      const value = numberOf(pick(theirs));
      return value === undefined ? [] : [[ours, within(Math.floor(value), MAX_LIMIT)]];
    }),
  );
  const budgets = budgetsOf(row, linked, note);
  for (const name of perModelBounds(row)) note(`\`${name}\` is not carried over: give the model a budget or limits`);
  return { ...(Object.keys(limits).length > 0 && { limits }), ...(budgets.length > 0 && { budgets }) };
}

/** Both hold: of limits the lower one. */
export function bothRules(one: ImportedRules, other: ImportedRules): ImportedRules {
  const limits = { ...one.limits };
  for (const [name, most] of Object.entries(other.limits ?? {})) limits[name] = Math.min(limits[name] ?? Infinity, most);
  const budgets = [...(other.budgets ?? []), ...(one.budgets ?? [])].slice(0, MAX_BUDGETS);
  return { ...(Object.keys(limits).length > 0 && { limits }), ...(budgets.length > 0 && { budgets }) };
}

/** Of a row, or in its metadata, where LiteLLM keeps some for keys. */
export function perModelBounds(row: Fields): string[] {
  const metadata = fieldsOf(row['metadata']);
  return PER_MODEL.filter((name) => [row, metadata].some((place) => Object.keys(fieldsOf(place[name])).length > 0));
}

const PER_MODEL = ['model_max_budget', 'model_rpm_limit', 'model_tpm_limit'] as const;
const MAX_BUDGETS = 8;
/** The most that can be said here; more is as good as that. */
const MAX_LIMIT = 1_000_000_000;
const MAX_USD = 9_000_000;

function within(value: number, most: number): number {
  return Math.min(most, Math.max(0, value));
}

function budgetsOf(row: Fields, linked: Fields, note: (message: string) => void): ImportedBudget[] {
  const duration = textOf(row['budget_duration'] ?? linked['budget_duration']);
  const spent = numberOf(row['spend']) ?? 0;
  const several = listOf(row['budget_limits']).map(fieldsOf);
  const wanted = [
    { usd: row['max_budget'] ?? linked['max_budget'], duration, hard: true },
    { usd: row['soft_budget'] ?? linked['soft_budget'], duration, hard: false },
    ...several.map((each) => ({
      usd: each['max_budget'] ?? each['budget_limit'],
      duration: textOf(each['budget_duration']),
      hard: true,
    })),
  ];
  const budgets = wanted.flatMap(({ usd, duration: text, hard }): ImportedBudget[] => {
    const limit = numberOf(usd);
    if (limit === undefined) return [];
    const { window, exact } = windowOf(text);
    if (!exact) note(`a budget per ${text} became the same sum per ${window}`);
    // What runs for ever has its past with it; all others begin anew.
    return [{ limit_usd: within(window === 'total' ? limit - spent : limit, MAX_USD), window, hard }];
  });
  return budgets.slice(0, MAX_BUDGETS);
}

const UNIT_HOURS: Readonly<Record<string, number>> = { s: 1 / 3600, m: 1 / 60, h: 1, d: 24, w: 168, mo: 720 };
const WINDOWS = [
  ['hour', 1],
  ['day', 24],
  ['week', 168],
  ['month', 744],
] as const;

/** `30d` and `1mo` are the calendar's month there too. What lies between two windows becomes the longer one. */
function windowOf(duration: string | undefined): { window: ImportedBudget['window']; exact: boolean } {
  if (duration === undefined) return { window: 'total', exact: true };
  const [, count = '', unit = ''] = /^(\d+)(mo|[smhdw])$/.exec(duration) ?? [];
  const hours = Number(count) * (UNIT_HOURS[unit] ?? NaN);
  const window = WINDOWS.find(([, most]) => hours <= most)?.[0] ?? 'total';
  const isMonth = hours === 720;
  return { window, exact: isMonth || WINDOWS.some(([, exactly]) => hours === exactly) };
}

const ALL = new Set(['all-proxy-models', 'all-team-models', '*']);
const NONE = 'no-default-models';

/** Undefined: no restriction of its own. `groups`: names that stand for several models. */
export function grantsOf(
  models: unknown,
  groups: ReadonlyMap<string, readonly string[]>,
  note: (message: string) => void,
): string[] | undefined {
  const names = listOf(models).map(String);
  if (names.length === 0 || names.some((name) => ALL.has(name))) return undefined;
  const grants = names.filter((name) => name !== NONE).flatMap((name) => groups.get(name) ?? [name]);
  const bad = grants.filter((grant) => grantProblem(grant) !== undefined);
  for (const grant of bad) note(`the grant of \`${grant}\` is not carried over: \`*\` may stand only at the end of a name`);
  return [...new Set(grants.filter((grant) => !bad.includes(grant)))];
}
