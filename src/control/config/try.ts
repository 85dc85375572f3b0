/** What came of a trial call; the call itself is handed in, because it leaves by the way out. */
import * as z from 'zod';

import type { Provider } from '../../config/snapshot.ts';

export const triedView = z.object({
  ok: z.boolean().describe('Every endpoint answered well.'),
  model: z.string(),
  endpoints: z.array(
    z.object({
      base_url: z.string(),
      ok: z.boolean(),
      status: z.int().nullable().describe('HTTP status; null: no answer came.'),
      latency_ms: z.int(),
      error: z.string().nullable().describe('In the provider’s words where it answered, without our secrets.'),
    }),
  ),
});

export type TryProvider = (provider: Provider, model: string) => Promise<z.input<typeof triedView>>;
