/** What is simulated: read from YAML, checked to the last key. Times are seconds of the virtual clock unless a name says otherwise. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parse } from 'yaml';
import * as z from 'zod';

import { DEFAULT_ROUTING, STRATEGY_NAMES } from '../../src/core/routing.ts';

const positive = z.number().positive();
const share = z.number().min(0).max(1);

const trouble = z.strictObject({
  from_s: z.number().min(0),
  to_s: positive,
  /** `refuse`: no connection. `error`: 500. `hang`: no answer until the timeout. `throttle`: 429. `slow`: all times by `factor`. */
  kind: z.enum(['refuse', 'error', 'hang', 'throttle', 'slow']),
  /** Of the attempts in that time. */
  share: share.default(1),
  factor: positive.default(1),
  retry_after_s: z.number().min(0).default(5),
  /** It comes back every so often. */
  every_s: positive.optional(),
});

const target = z.strictObject({
  name: z.string(),
  /** So many of the same kind; their times and prices differ, by up to `spread`. */
  count: z.int().min(1).default(1),
  spread: z.number().min(0).default(0),
  weight: z.number().min(0).default(1),
  order: z.int().min(1).default(1),
  /** Log-normal: half of the answers are quicker, one in a hundred slower. */
  first_ms: z.strictObject({ p50: positive, p99: positive }),
  per_token_ms: z.number().min(0).default(10),
  /** Attempts at once, beyond which all become slower in proportion. */
  capacity: positive.default(1_000_000),
  price: z.strictObject({ input: z.number().min(0), output: z.number().min(0) }).default({ input: 1, output: 4 }),
  prices: z.array(z.strictObject({ from_s: z.number(), input: z.number(), output: z.number() })).default([]),
  /** What the provider allows in any minute. */
  quota_rpm: positive.optional(),
  /** What the operator has configured. */
  limit_rpm: z.int().positive().optional(),
  trouble: z.array(trouble).default([]),
});

const scenarioSchema = z.strictObject({
  about: z.string(),
  seed: z.int().default(1),
  duration_s: positive,
  warm_up_s: z.number().min(0).default(30),
  /** Requests per second; with `to_rate` and `period_s` it swings between the two. */
  rate: positive,
  to_rate: positive.optional(),
  period_s: positive.default(86_400),
  input_tokens: positive.default(1_000),
  output_tokens: positive.default(100),
  timeout_ms: positive.default(5_000),
  strategies: z.array(z.enum(STRATEGY_NAMES)).min(1),
  retries: z.int().min(0).default(DEFAULT_ROUTING.retries),
  breaker: z
    .strictObject({ failures: z.int(), failure_share: share, window_s: positive, open_s: positive })
    .partial()
    .default({}),
  targets: z.array(target).min(1),
  /** Targets of the model that takes over. */
  fallback: z.array(target).default([]),
  /** When the trouble begins and ends whose healing is measured. */
  outage: z.strictObject({ from_s: positive, to_s: positive }).optional(),
  expect: z
    .strictObject({
      success_min: share,
      latency_vs_oracle_max: positive,
      cost_vs_oracle_max: positive,
      settled_after_s_max: positive,
      probes_per_period_max: positive,
      retry_share_max: z.number().min(0),
      /** Of the attempts while nothing was wrong anywhere. */
      healthy_excluded_max: z.number().min(0),
    })
    .partial()
    .default({}),
  /** What only these strategies promise. */
  expect_of: z.partialRecord(z.enum(STRATEGY_NAMES), z.record(z.string(), z.number())).optional(),
});

export type Scenario = z.infer<typeof scenarioSchema> & { name: string };
export type TargetSpec = Scenario['targets'][number];
export type Trouble = TargetSpec['trouble'][number];

/** Throws with the file and every mistake in it. */
export function readScenario(path: string): Scenario {
  const result = scenarioSchema.safeParse(parse(readFileSync(path, 'utf8')));
  if (result.success) return { name: basename(path, '.yaml'), ...result.data };
  const issues = result.error.issues.map(({ path: at, message }) => `  ${at.join('.') || '(top)'}: ${message}`);
  throw new Error(`${path}:\n${issues.join('\n')}`);
}
