/** `guards` of the operator's file. */
import * as z from 'zod';

import { int, text } from './schema-parts.ts';
import * as values from './values.ts';

const guard = z.strictObject({
  name: text(values.providerNameProblem).describe('How logs, facts and events name it.'),
  url: text(values.urlProblem).describe('Where it is asked, by POST. Used as given, private addresses too.'),
  secret: text(values.webhookSecretProblem).describe(
    'What every question is signed with, by reference: `whsec_` and base64, or any text; at least 16 bytes.',
  ),
  on: z
    .array(z.enum(['request', 'response']))
    .min(1)
    .default(['request'])
    .describe('What it judges: requests before they are sent, answers before they are delivered.'),
  models: z
    .array(text(values.grantProblem))
    .min(1)
    .exactOptional()
    .describe('Public names, or `prefix*`, of the models it is asked about; agents are `a2a/{name}`. Absent: all.'),
  keys: z
    .array(text(values.keyNameProblem))
    .min(1)
    .exactOptional()
    .describe('Names or ids of the keys it is asked about. Absent: all.'),
  timeout_ms: int(1, 60_000).default(2_000).describe('In which it must answer, in milliseconds.'),
  on_failure: z
    .enum(['block', 'allow'])
    .default('block')
    .describe('What happens where it does not answer in time or in its own form: `block` answers 503, `allow` goes on.'),
  hold_streams: z
    .boolean()
    .default(false)
    .describe(
      '`true`: a stream is held until it is whole and judged. `false`: it is sent as it comes and judged afterwards, which can only raise an event.',
    ),
});

export const guards = z
  .array(guard)
  .default([])
  .describe('Services of yours that judge requests and answers, asked in this order.');
