/** How the requests of a model find their target: keys of models and of their targets. */
import * as z from 'zod';

import { DEFAULT_ROUTING, STICKY_KINDS, STRATEGY_ALIASES, STRATEGY_NAMES, strategyNamed } from '../core/routing.ts';
import { int, text } from './schema-parts.ts';
import * as values from './values.ts';

const MAX_MS = 86_400_000;
const MOST_FALLBACKS = 5;

const strategy = z
  .enum([...STRATEGY_NAMES, ...Object.keys(STRATEGY_ALIASES)])
  .default('weighted')
  .transform((name) => strategyNamed(name)!)
  .describe(
    'How a target is chosen among those that can take the request: `weighted` at random by weight, `round_robin` in turn, `least_busy` by calls under way, `latency` by measured speed, `cost` by the price of this request, `usage` by tokens of its limits in use, `rate_limit_aware` by what is left of its limits, `priority` by `order` alone. The names of LiteLLM are taken too.',
  );

const breaker = z
  .strictObject({
    failures: int(1, 1_000).default(DEFAULT_ROUTING.breaker.failures).describe('So many failures in a row open it.'),
    failure_share: z
      .number()
      .min(0.01)
      .max(1)
      .default(DEFAULT_ROUTING.breaker.failureShare)
      .describe('Or this share of the attempts of the window, 0.01 to 1, once there were ten.'),
    window_s: int(1, 3_600)
      .default(DEFAULT_ROUTING.breaker.windowMs / 1000)
      .describe('How far back the share looks, in seconds.'),
    open_s: int(1, 3_600)
      .default(DEFAULT_ROUTING.breaker.openMs / 1000)
      .describe('How long the target is left alone, in seconds, where it does not say itself; then one attempt finds out.'),
  })
  .prefault({})
  .describe('When a target that fails is left alone. The only target there is is tried all the same.');

const names = z.array(text(values.modelNameProblem)).min(1).max(MOST_FALLBACKS);

const fallbacksOn = z
  .strictObject({
    context_window: names.exactOptional().describe('Where the prompt is too long. Absent: `fallbacks`.'),
    content_policy: names.exactOptional().describe('Where the provider refuses the content. Absent: none, the caller is told.'),
    rate_limit: names.exactOptional().describe('Where rate limits or quotas are used up. Absent: `fallbacks`.'),
  })
  .exactOptional()
  .describe('Other models by cause.');

const kind = z.enum(STICKY_KINDS);

export const modelRouting = {
  strategy,
  retries: int(0, 10)
    .default(DEFAULT_ROUTING.retries)
    .describe('Attempts after the first one, over all targets, as long as the client has nothing of the answer.'),
  deadline_ms: int(1, MAX_MS)
    .default(DEFAULT_ROUTING.deadlineMs)
    .describe('No attempt begins later than this after the request came, in milliseconds; sooner where the client says so.'),
  breaker,
  fallbacks: names
    .exactOptional()
    .describe('Models that take over, in this order, when this one cannot. They need no grant of their own.'),
  fallbacks_on: fallbacksOn,
  sticky: z
    .union([kind.transform((one) => [one]), z.array(kind).min(1)])
    .exactOptional()
    .describe(
      'Keeps requests together at one target: `session` those of a conversation, `user` those of an end user (else of the key), `prefix` those that begin alike, so that the cache of the provider stays warm. Of a list the first that a request has.',
    ),
  continue_on_failure: z
    .boolean()
    .default(false)
    .describe('`true`: a stream of plain text that breaks goes on at another target that has `can_continue`.'),
  aliases: z
    .array(text(values.modelNameProblem))
    .max(100)
    .exactOptional()
    .describe('Other names of the model. Limits, budgets and reports know it by its `name`.'),
  models: z
    .array(text(values.modelNameProblem))
    .min(1)
    .exactOptional()
    .describe('A group: instead of `targets`, those of these models, all of them.'),
};

export const targetRouting = {
  order: int(1, 1_000).default(1).describe('Targets of a lower order go first; the next ones serve where none of them can.'),
  tags: z
    .array(text(values.tagProblem))
    .max(16)
    .exactOptional()
    .describe('It serves requests that ask for one of these tags; `default`: also those that ask for none.'),
  region: text(values.regionProblem)
    .exactOptional()
    .describe('Where it runs, such as `eu-west-1`; requests that must stay in `eu` go only to such targets.'),
  context_window: int(1, 1_000_000_000)
    .exactOptional()
    .describe('Greatest prompt, in tokens; longer ones go elsewhere. Absent: that of the model.'),
  capabilities: z
    .array(text())
    .exactOptional()
    .describe(
      'What it can do: `tools`, `vision`, `json_schema`. Requests that need more go elsewhere. Absent: those of the model.',
    ),
  can_continue: z
    .boolean()
    .default(false)
    .describe('`true`: its model goes on where a last message of the assistant ends (`continue_on_failure`).'),
};

export type ModelRoutingConfig = z.infer<z.ZodObject<typeof modelRouting>>;
export type TargetRoutingConfig = z.infer<z.ZodObject<typeof targetRouting>>;
