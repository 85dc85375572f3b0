/** What organisations, teams, people, service accounts and keys have in common on the wire, and how it becomes what the directory takes. */
import * as z from 'zod';

import { wantedRules } from '../../config/resolve-rules.ts';
import { text } from '../../config/schema-parts.ts';
import { type RulesConfig, budgetSchema, limitsSchema, rulesFields } from '../../config/schema-rules.ts';
import { agentGrantProblem, grantProblem, keyNameProblem } from '../../config/values.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Budget, Limits } from '../../core/rules.ts';
import { type Holder, type Place, holdersAt } from '../contract/access.ts';
import type { Actor } from '../contract/actor.ts';
import { isoOf, isoTime, usd, usdOf } from '../contract/fields.ts';

const MAX_GRANTS = 1_000;
const MAX_METADATA = 32;

export const name = text(keyNameProblem);
const MAX_GRANT = 256;

export const grants = z.array(text(grantProblem).max(MAX_GRANT)).max(MAX_GRANTS);
const agentGrants = z.array(text(agentGrantProblem).max(MAX_GRANT)).max(MAX_GRANTS);
const metadata = z
  .record(z.string().min(1).max(64), z.string().max(512))
  .refine((entries) => Object.keys(entries).length <= MAX_METADATA, `must have at most ${MAX_METADATA} entries`)
  .describe('For your own use.');

/** What may be given to every one of them. */
export const commonInput = {
  ...rulesFields,
  blocked: z.boolean().exactOptional(),
  models: grants.exactOptional().describe('Public model names, `prefix*` or `*`.'),
  agents: agentGrants.exactOptional().describe('Agent names, `tag:x` or `*`.'),
  metadata: metadata.exactOptional(),
};

/** The same, to be changed: null takes away. */
export const commonPatch = {
  name: name.exactOptional(),
  blocked: z.boolean().exactOptional(),
  models: grants.nullable().exactOptional().describe('null: no restriction of its own.'),
  agents: agentGrants.nullable().exactOptional().describe('null: no restriction of its own.'),
  limits: limitsSchema.nullable().exactOptional(),
  budget: budgetSchema.nullable().exactOptional().describe('Takes the place of all budgets; null: none.'),
  budgets: z.array(budgetSchema).max(8).exactOptional().describe('Takes the place of all budgets.'),
  metadata: metadata.exactOptional(),
};

const budgetView = z.object({
  limit_usd: usd,
  window: z.enum(['hour', 'day', 'week', 'month', 'total']),
  time_zone: z.string(),
  hard: z.boolean(),
  mode: z.enum(['strict', 'stepped']),
  unpriced: z.enum(['ceiling', 'block', 'allow']),
  spent_usd: usd.optional().describe('In the present window; a second behind at most.'),
  window_start: isoTime.optional(),
});

/** What is shown of every one of them. */
export const commonView = {
  id: z.string(),
  name: z.string(),
  blocked: z.boolean(),
  models: z.array(z.string()).optional().describe('Absent: no restriction of its own.'),
  agents: z.array(z.string()).optional().describe('Absent: no restriction of its own.'),
  limits: z.object({ rpm: z.int().optional(), tpm: z.int().optional(), concurrent: z.int().optional() }).optional(),
  budgets: z.array(budgetView),
  metadata: z.record(z.string(), z.string()),
  created_at: isoTime,
  updated_at: isoTime,
  created_by: z.string().describe('`root`, or a user’s id.'),
};

interface Common {
  id: string;
  name: string;
  blocked: boolean;
  models?: readonly string[];
  agents?: readonly string[];
  limits?: Limits;
  budgets: readonly Budget[];
  metadata: Readonly<Record<string, string>>;
  createdAtMs: number;
  updatedAtMs: number;
  createdBy: string;
}

/** A type, not an interface: those are no records. */
export type CommonView = {
  id: string;
  name: string;
  blocked: boolean;
  models?: string[];
  agents?: string[];
  limits?: Limits;
  budgets: z.input<typeof budgetView>[];
  metadata: Record<string, string>;
  created_at: string;
  updated_at: string;
  created_by: string;
};

export function commonViewOf(entity: Common): CommonView {
  const { id, blocked, models, agents, limits, budgets, metadata } = entity;
  return {
    id,
    name: entity.name,
    blocked,
    ...(models !== undefined && { models: [...models] }),
    ...(agents !== undefined && { agents: [...agents] }),
    ...(limits !== undefined && { limits }),
    budgets: budgets.map(budgetViewOf),
    metadata: { ...metadata },
    created_at: isoOf(entity.createdAtMs),
    updated_at: isoOf(entity.updatedAtMs),
    created_by: entity.createdBy,
  };
}

export function budgetViewOf({ limitNanoUsd, timeZone, window, hard, mode, unpriced }: Budget): z.input<typeof budgetView> {
  return { limit_usd: usdOf(limitNanoUsd), window, time_zone: timeZone, hard, mode, unpriced };
}

/** `limits`, `budget` and `budgets` of an input as the directory takes them; the other members as they are. */
export function withRules<Input extends RulesConfig>(
  input: Input,
): Omit<Input, keyof RulesConfig> & { limits?: Limits; budgets?: readonly Budget[] } {
  const { limits, budget, budgets, ...rest } = input;
  const wanted = wantedRules({ ...(limits && { limits }), ...(budget && { budget }), ...(budgets && { budgets }) });
  return { ...rest, ...wanted };
}

interface RulesPatch {
  limits?: RulesConfig['limits'] | null;
  budget?: RulesConfig['budget'] | null;
  budgets?: RulesConfig['budgets'];
}

/** As `withRules`; what the patch does not name stays. */
export function withPatchedRules<Input extends RulesPatch>(
  input: Input,
): Omit<Input, keyof RulesPatch> & { limits?: Limits | null; budgets?: readonly Budget[] } {
  const { limits, budget, budgets, ...rest } = input;
  const wanted = wantedRules({ ...(budget && { budget }), ...(budgets && { budgets }) });
  return {
    ...rest,
    ...(limits !== undefined && { limits }),
    ...((budget !== undefined || budgets !== undefined) && { budgets: wanted.budgets }),
  };
}

/** `root`, or the user's id: who did it. */
export function authorOf(actor: Actor): string {
  return actor.kind === 'user' ? actor.id : actor.kind;
}

/**
 * Which members of an input somebody may write: all, where he holds one of the roles of `all`; else those of `some` only. Throws forbidden. What nobody listed nobody
 * but they may write: a new field is closed until somebody opens it.
 */
export function requireWritable(
  actor: Actor,
  place: Place,
  input: object,
  { all, some }: { all: readonly Holder[]; some: readonly string[] },
): void {
  const held = holdersAt(actor, place);
  if (all.some((holder) => held.has(holder))) return;
  const param = Object.keys(input).find((field) => !some.includes(field));
  if (param === undefined) return;
  throw new GatewayError('forbidden', { details: { message: `Your role does not allow you to write \`${param}\``, param } });
}
