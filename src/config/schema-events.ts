/** `events` of the operator's file. */
import * as z from 'zod';

import { int, text } from './schema-parts.ts';
import * as values from './values.ts';

const webhook = z
  .strictObject({
    url: text(values.urlProblem).describe('Where each event is sent, by POST. Used as given, private addresses too.'),
    secret: text(values.webhookSecretProblem).describe(
      'What every event is signed with, by reference: `whsec_` and base64, or any text; at least 16 bytes.',
    ),
    types: z
      .array(text(values.eventTypeProblem))
      .min(1)
      .exactOptional()
      .describe('Types that are sent, such as `budget.exceeded` or `key.*`. Absent: all.'),
    timeout_ms: int(1, 60_000).default(10_000).describe('In which the receiver must answer, in milliseconds.'),
  })
  .describe('One receiver of events. Absent: events stand in the log only.');

export const events = z.strictObject({ webhook: webhook.exactOptional() }).prefault({}).describe('What operators are told of.');
