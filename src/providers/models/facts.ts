/** What is known of a model beside its price. Main thread: the answers travel to the workers inside the snapshot. */
import type { Capability } from './families.ts';
import { FAMILIES } from './families.ts';

export interface ModelFacts {
  /** Tokens. The price list's window for the same provider, where it has one, is closer to the truth. */
  contextWindow?: number;
  /** The greatest output in tokens: Anthropic demands a `max_tokens`, and a reservation needs a bound. */
  maxOutputTokens: number;
  capabilities: readonly Capability[];
}

/** Dates, `-latest`, `-preview` and Bedrock's version do not make another model; any other suffix (`-audio`, `-mini`) may. */
const SAME_MODEL = /^(?:[-@](?:latest|preview|\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{2}|\d{4}))*(?:-v\d+(?::\d+)?)?$/;

/**
 * The facts of `upstreamModel` as its provider names it (`claude-sonnet-4-5-20250929`, `anthropic/claude-sonnet-4.5`,
 * `us.anthropic.claude-opus-4-5-20251101-v1:0`); undefined for a model nobody wrote down.
 */
export function modelFacts(priceProvider: string | undefined, upstreamModel: string): ModelFacts | undefined {
  const name = plainName(upstreamModel);
  const family = FAMILIES.find(({ names, at }) => {
    if (at !== undefined && !at.includes(priceProvider ?? '')) return false;
    return names.some((known) => name.startsWith(known) && SAME_MODEL.test(name.slice(known.length)));
  });
  if (family === undefined) return undefined;
  const { contextWindow, maxOutputTokens, capabilities } = family;
  return { maxOutputTokens, capabilities, ...(contextWindow !== undefined && { contextWindow }) };
}

function plainName(upstreamModel: string): string {
  const name = upstreamModel
    .toLowerCase()
    .slice(upstreamModel.lastIndexOf('/') + 1)
    .replace(/^(?:[a-z]+\.)?anthropic\./, '');
  return name.startsWith('claude-') ? name.replaceAll('.', '-') : name;
}
