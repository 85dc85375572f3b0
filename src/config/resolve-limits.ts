/** Classes of callers, as the data plane wants them. */
import type { Config } from './schema.ts';
import type { Snapshot } from './snapshot.ts';

export function resolveKeptBack({ reserve }: Config['priorities']): Snapshot['keptBack'] {
  return { high: 0, normal: reserve.high, low: reserve.high + reserve.normal };
}
