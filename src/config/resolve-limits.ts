/** Classes of callers and the rules of end users, as the data plane wants them. */
import { wantedRules } from './resolve-rules.ts';
import type { Config } from './schema.ts';
import type { Snapshot } from './snapshot.ts';

export function resolveKeptBack({ reserve }: Config['priorities']): Snapshot['keptBack'] {
  return { high: 0, normal: reserve.high, low: reserve.high + reserve.normal };
}

export function resolveEndUsers({ header, max_live: maxLive, ...config }: Config['end_users']): Snapshot['endUsers'] {
  const { limits = {}, budgets } = wantedRules(config);
  const isLimited = Object.keys(limits).length > 0 || budgets.length > 0;
  return {
    ...(header !== undefined && { header: header.toLowerCase() }),
    ...(isLimited && { rules: { maxLive, limits, budgets } }),
  };
}
