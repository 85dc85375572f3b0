/** `ledger` of the operator's file. */
import * as z from 'zod';

import { text } from './schema-parts.ts';
import { timeZoneProblem } from './values.ts';

export const ledger = z
  .strictObject({
    sync: z
      .enum(['off', 'interval', 'always'])
      .default('interval')
      .describe(
        'When what is recorded of money survives a loss of power. `always`: before a call under a hard budget is sent, which then waits for the disk. `interval`: within a second. `off`: when the system gets to it. A crash of Signalbox loses nothing in any mode.',
      ),
    time_zone: text(timeZoneProblem)
      .default('UTC')
      .describe('Whose midnights begin the windows of budgets in this file that name no `time_zone` of their own.'),
  })
  .prefault({})
  .describe('The record of money.');
