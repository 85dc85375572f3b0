import { type RawBuilder, type SqlBool, sql } from 'kysely';

import type { Visible } from '../ports/usage.ts';

const COLUMNS = { keys: 'key_id', principals: 'principal', teams: 'team', orgs: 'org' } as const;

/** True for rows that belong to any of these; for none where nobody is named. */
export function isVisible(within: Visible): RawBuilder<SqlBool> {
  const conditions = Object.entries(COLUMNS).flatMap(([kind, column]) => {
    const ids = within[kind as keyof Visible] ?? [];
    return ids.length === 0 ? [] : [isOneOf(column, ids)];
  });
  return conditions.length === 0 ? sql`1 = 0` : sql`(${sql.join(conditions, sql` or `)})`;
}

/** Never with an empty list, which no database takes. */
export function isOneOf(column: string, values: readonly (string | number)[]): RawBuilder<SqlBool> {
  return values.length === 0 ? sql`1 = 0` : sql`${sql.ref(column)} in (${sql.join(values)})`;
}
