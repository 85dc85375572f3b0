/** Whether a provider is asked how it is, without a request of a client. */
import * as z from 'zod';

import { int, text } from './schema-parts.ts';
import * as values from './values.ts';

export const healthCheck = z
  .strictObject({
    interval_s: int(1, 86_400).default(30).describe('So often each endpoint is asked, in seconds.'),
    timeout_s: int(1, 300).default(5).describe('How long an answer may take, in seconds.'),
    path: text(values.pathProblem).default('/models').describe('What is asked for by GET, below the base URL.'),
  })
  .describe(
    'Asks every endpoint regularly; one that cannot be reached, is late or answers 5xx counts as a failure to the breakers of its targets. Only real answers close a breaker. Absent: only requests of clients tell how a provider is.',
  );
