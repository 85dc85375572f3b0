/**
 * Reasoning effort (OpenAI) and thinking (Anthropic), each from the other.
 *
 * | effort  | budget_tokens (3.7–4.5 and imitators) | output_config.effort (4.6 and later)    |
 * |---------|---------------------------------------|-----------------------------------------|
 * | none    | thinking disabled                     | disabled; `low` where it cannot be off  |
 * | minimal | 1024 (the least Anthropic takes)      | low                                     |
 * | low     | 2048                                  | low                                     |
 * | medium  | 8192                                  | medium                                  |
 * | high    | 16384                                 | high                                    |
 * | xhigh   | 32768                                 | xhigh; `high` before 4.7                |
 * | max     | 49152                                 | max                                     |
 *
 * The budget is part of max_tokens and must be below it: it shrinks to three quarters of max_tokens, and where that leaves less than
 * 1024 the answer comes without thinking. A caller's own max_tokens is never raised, since it bounds the bill.
 */
import type { ChatMessage, ChatRequest, Reasoning, Warning } from '../../core/chat.ts';
import { must } from '../../core/read.ts';
import type { JsonObject } from '../dialect.ts';
import type { ModelTraits } from './models.ts';
import { entry } from './wire.ts';

const LEAST_BUDGET = 1024;

const BUDGETS: Readonly<Record<string, number>> = {
  minimal: LEAST_BUDGET,
  low: 2048,
  medium: 8192,
  high: 16_384,
  xhigh: 32_768,
  max: 49_152,
};

const EFFORTS: Readonly<Record<string, string>> = {
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'xhigh',
  max: 'max',
};

/** Anthropic's own default where a request says adaptive and no effort. */
const DEFAULT_EFFORT = 'high';
const DEFAULT_BUDGET = 16_384;

interface Thinking {
  thinking?: JsonObject;
  effort?: string;
}

interface ThinkingContext {
  traits: ModelTraits;
  /** The caller's own limit; absent where it set none. */
  maxTokens: number | undefined;
  warn: (warning: Warning) => void;
}

/** The `thinking` and `output_config.effort` a request becomes; empty where the caller said nothing about reasoning. */
export function encodeThinking(request: ChatRequest, context: ThinkingContext): Thinking {
  const { reasoning } = request;
  if (reasoning === undefined) return {};
  if (reasoning.mode === 'disabled') return encodeDisabled(request, context);
  const hindrance = hindranceOf(request, context.traits);
  if (hindrance !== undefined) {
    context.warn({ param: 'reasoning_effort', reason: hindrance });
    return context.traits.adaptive ? effortOf(reasoning, context) : {};
  }
  const asBudget = context.traits.budget && (!context.traits.adaptive || reasoning.budgetTokens !== undefined);
  return asBudget ? encodeBudget(reasoning, context) : { thinking: { type: 'adaptive' }, ...effortOf(reasoning, context) };
}

function encodeDisabled(request: ChatRequest, { traits, warn }: ThinkingContext): Thinking {
  const word = request.extra['thinking.type'];
  if (typeof word === 'string') return { thinking: { type: word } };
  if (!traits.alwaysThinks) return { thinking: { type: 'disabled' } };
  warn({ param: 'reasoning_effort', reason: 'this model always thinks; effort low is sent instead' });
  return { effort: 'low' };
}

/** Why this request cannot be answered with thinking, although it asks for it. */
function hindranceOf(request: ChatRequest, traits: ModelTraits): string | undefined {
  const choice = request.toolChoice?.type;
  if (choice === 'required' || choice === 'tool') return 'thinking cannot be combined with a forced tool choice';
  // Only a budget demands that the assistant turn of a running tool loop opens with signed thinking, which other dialects cannot carry.
  if (!traits.adaptive && inUnsignedToolLoop(request.messages)) {
    return 'a tool loop begun without signed thinking cannot go on with thinking';
  }
  return undefined;
}

function inUnsignedToolLoop(messages: readonly ChatMessage[]): boolean {
  const turn = messages.findLast((message) => message.role === 'assistant');
  if (turn === undefined || !turn.content.some((part) => part.type === 'tool_call')) return false;
  return !turn.content.some((part) => part.type === 'reasoning' && (part.signature !== undefined || part.redacted !== undefined));
}

function effortOf(reasoning: Reasoning, { traits, warn }: ThinkingContext): Thinking {
  const asked = reasoning.effort ?? (reasoning.budgetTokens === undefined ? undefined : effortOfBudget(reasoning.budgetTokens));
  if (asked === undefined) return {};
  const effort = entry(EFFORTS, asked);
  if (effort === undefined) {
    warn({ param: 'reasoning_effort', reason: `the effort ${JSON.stringify(asked)} is not known` });
    return {};
  }
  if (effort === 'xhigh' && !traits.xhigh) {
    warn({ param: 'reasoning_effort', reason: 'this model knows no xhigh; high is sent instead' });
    return { effort: 'high' };
  }
  return { effort };
}

/** The least effort whose budget holds what was asked. */
function effortOfBudget(budgetTokens: number): string {
  return Object.entries(BUDGETS).find(([, budget]) => budget >= budgetTokens)?.[0] ?? 'max';
}

function encodeBudget(reasoning: Reasoning, { maxTokens, warn }: ThinkingContext): Thinking {
  const asked = reasoning.budgetTokens ?? entry(BUDGETS, reasoning.effort ?? DEFAULT_EFFORT) ?? DEFAULT_BUDGET;
  const fitting = maxTokens === undefined || asked < maxTokens ? asked : Math.max(LEAST_BUDGET, Math.floor(maxTokens * 0.75));
  if (maxTokens !== undefined && fitting >= maxTokens) {
    warn({ param: 'reasoning_effort', reason: `max_tokens ${maxTokens} leaves no room for thinking (at least ${LEAST_BUDGET})` });
    return {};
  }
  return { thinking: { type: 'enabled', budget_tokens: fitting } };
}

/** A client's `thinking` and `output_config.effort`. Effort alone counts as adaptive: that is what it means on models since 5.0. */
export function decodeReasoning(thinking: JsonObject | undefined, effort: string | undefined): Reasoning | undefined {
  const withEffort = effort === undefined ? {} : { effort };
  if (thinking === undefined) return effort === undefined ? undefined : { mode: 'adaptive', effort };
  if (thinking.type === 'adaptive') return { mode: 'adaptive', ...withEffort };
  if (thinking.type !== 'enabled') return { mode: 'disabled', ...withEffort };
  const budgetTokens = must('number', thinking.budget_tokens, 'thinking.budget_tokens');
  return { mode: 'enabled', budgetTokens, ...withEffort };
}

/** What of `thinking` has no neutral form, for `extra`: `display`, and modes that only Anthropic has (`between_tools`). */
export function thinkingExtra(thinking: JsonObject | undefined): JsonObject {
  if (thinking === undefined) return {};
  const known = thinking.type === 'adaptive' || thinking.type === 'enabled' || thinking.type === 'disabled';
  return {
    ...(known ? {} : { 'thinking.type': must('string', thinking.type, 'thinking.type') }),
    ...(typeof thinking.display === 'string' && { 'thinking.display': thinking.display }),
  };
}
