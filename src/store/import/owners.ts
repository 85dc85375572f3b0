/** Whom an exchange belongs to, read from the scopes of its money. */
import type { RequestLogTable } from '../sql/tables/ledger.ts';
import type { UsageDimensions } from '../sql/tables/usage.ts';

export type Owners = UsageDimensions & { end_user: string };

/** The first scope of each kind counts: a key stands before the keys it descends from. `model` and `provider` are added where the scopes have none. */
export function ownersOf(scopes: readonly string[], named: { key?: string; model?: string; provider?: string }): Owners {
  const first: Partial<Record<string, string>> = {};
  const tags: string[] = [];
  for (const scope of scopes) {
    const colon = scope.indexOf(':');
    const kind = scope.slice(0, colon);
    if (kind === 'tag') tags.push(scope.slice(colon + 1));
    else first[kind] ??= scope.slice(colon + 1);
  }
  const read = (kind: string, otherwise = ''): string => clean(first[kind] ?? otherwise);
  return {
    key_id: read('key', named.key),
    principal: read('user', first['service']),
    team: read('team'),
    org: read('org'),
    tags: JSON.stringify(tags.map(clean).sort()),
    model: clean(named.model ?? read('model')),
    provider: clean(named.provider ?? read('provider')),
    end_user: read('end_user'),
  };
}

/** The same in the request log, where nobody is null. */
export function ownerColumns(owners: Owners): OwnerColumns {
  const { tags: _, ...columns } = owners;
  return Object.fromEntries(Object.entries(columns).map(([name, owner]) => [name, owner === '' ? null : owner])) as OwnerColumns;
}

type OwnerColumns = Pick<RequestLogTable, Exclude<keyof Owners, 'tags'>>;

/** The one character that no database takes in a text, and the one that parts the keys of sums. */
export function clean(text: string): string {
  if (!text.includes('\0') && !text.includes('\n')) return text;
  // oxlint-disable-next-line no-control-regex -- it is what is looked for
  return text.replace(/[\0\n]/g, ' ');
}
