/** What stands beside the limits of single entries: classes of callers, and the end users behind a key. */
import * as z from 'zod';

import { int, text } from './schema-parts.ts';
import { rulesFields } from './schema-rules.ts';
import { headerNameProblem } from './values.ts';

const share = (kept: string) =>
  z.number().min(0).max(1).default(0).describe(`Part of each limit that is kept for ${kept}, 0 to 1.`);

const reserve = z
  .strictObject({
    high: share('keys of priority `high`'),
    normal: share('keys of priority `normal` or `high`').default(0.2),
  })
  .refine(({ high, normal }) => high + normal <= 1, { error: '`high` and `normal` together must not be more than 1' })
  .prefault({})
  .describe('What is kept for higher classes.');

export const priorities = z
  .strictObject({ reserve })
  .prefault({})
  .describe(
    'Who goes first at the limits of models, targets and providers: keys of a lower class are refused before a limit is reached, by what is kept for higher ones.',
  );

export const endUsers = z
  .strictObject({
    header: text(headerNameProblem)
      .exactOptional()
      .describe(
        'Header in which the callers of this installation name their end user. Where it is missing, `user` or `metadata.user_id` of the body.',
      ),
    max_live: int(1, 10_000)
      .default(1000)
      .describe(
        'How many end users have limits and a budget of their own at once; all others share those of `end_user:other`. A silent minute makes room.',
      ),
    ...rulesFields,
  })
  .prefault({})
  .describe(
    'Those behind the keys, as clients name them. Limits and budgets hold for each of them; absent, they are only told of.',
  );
