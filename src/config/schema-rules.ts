/** Limits and budgets, as they stand under keys, models, targets, providers and tags. The admin API takes the same. */
import * as z from 'zod';

import { text } from './schema-parts.ts';
import { timeZoneProblem } from './values.ts';

/** 2^53 nano-USD. */
const MAX_USD = 9_000_000;

const most = (meaning: string) => z.int().min(0).max(1_000_000_000).exactOptional().describe(meaning);

export const limitsSchema = z
  .strictObject({
    rpm: most('Requests in any 60 seconds.'),
    tpm: most('Tokens in any 60 seconds: uncached input and output.'),
    concurrent: most('Requests under way at once.'),
  })
  .describe('How much is allowed at most; what goes beyond is answered 429. Absent members: no limit.');

export const budgetSchema = z
  .strictObject({
    limit_usd: z.number().min(0).max(MAX_USD).describe('USD per window.'),
    window: z
      .enum(['hour', 'day', 'week', 'month', 'total'])
      .default('month')
      .describe('When it begins anew; weeks begin on Monday. `total`: never.'),
    time_zone: text(timeZoneProblem)
      .exactOptional()
      .describe('Whose midnights begin a window, such as `Europe/Berlin`. Absent: `ledger.time_zone`; over the API, UTC.'),
    hard: z.boolean().default(true).describe('`true`: refuses what does not fit. `false`: only raises an event.'),
    mode: z
      .enum(['strict', 'stepped'])
      .default('strict')
      .describe(
        '`strict`: the greatest cost of a request is set aside before it is sent. `stepped`: streams set aside step by step, and may overspend by one step each.',
      ),
    unpriced: z
      .enum(['ceiling', 'block', 'allow'])
      .default('ceiling')
      .describe(
        'What a hard budget does with a model that has no price: charge the dearest price of its provider, refuse it, or let it pass uncounted.',
      ),
  })
  .describe('How much money may be spent.');

/** Mounted by everything that may have rules. */
export const rulesFields = {
  limits: limitsSchema.exactOptional(),
  budget: budgetSchema.exactOptional(),
  budgets: z
    .array(budgetSchema)
    .min(1)
    .max(8)
    .exactOptional()
    .describe('Several budgets at once, beside or instead of `budget`.'),
};

/** What may stand wherever rules may. */
export interface RulesConfig {
  limits?: z.output<typeof limitsSchema>;
  budget?: z.output<typeof budgetSchema>;
  budgets?: z.output<typeof budgetSchema>[];
}
