/** What stands beside the limits of single entries: classes of callers, and the end users behind a key. */
import * as z from 'zod';

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
