/** temperature, top_p and top_k, as far as the model and thinking let them stand. */
import type { ChatRequest, Warning } from '../../core/chat.ts';
import type { JsonObject } from '../dialect.ts';
import type { ModelTraits } from './models.ts';

interface SamplingContext {
  traits: ModelTraits;
  /** The request goes out with thinking on: temperature must then be 1 and top_p at least 0.95, and top_k is refused. */
  thinks: boolean;
  warn: (warning: Warning) => void;
}

const NOT_TAKEN = 'this model does not take it';
const NOT_WITH_THINKING = 'it cannot be set while the model thinks';

/** The fields to send. What is left out is warned of, unless its value is the API's own default (1). */
export function encodeSampling(request: ChatRequest, context: SamplingContext): JsonObject {
  const sent: JsonObject = {};
  for (const [param, value, hindrance] of [
    ['temperature', clamped(request.temperature, context), temperatureHindrance(request, context)],
    ['top_p', request.topP, topPHindrance(request, context)],
    ['top_k', request.topK, topKHindrance(context)],
  ] as const) {
    if (value === undefined) continue;
    if (hindrance === undefined) sent[param] = value;
    else if (value !== 1) context.warn({ param, reason: hindrance });
  }
  return sent;
}

/** OpenAI's scale goes to 2, Anthropic's ends at 1. */
function clamped(temperature: number | undefined, { warn }: SamplingContext): number | undefined {
  if (temperature === undefined || temperature <= 1) return temperature;
  warn({ param: 'temperature', reason: `${temperature} is above Anthropic's scale; 1 is sent instead` });
  return 1;
}

function temperatureHindrance({ temperature }: ChatRequest, { traits, thinks }: SamplingContext): string | undefined {
  if (traits.sampling === 'none') return NOT_TAKEN;
  return thinks && temperature !== undefined && temperature < 1 ? NOT_WITH_THINKING : undefined;
}

function topPHindrance({ topP, temperature }: ChatRequest, { traits, thinks }: SamplingContext): string | undefined {
  if (traits.sampling === 'none') return NOT_TAKEN;
  if (traits.sampling === 'either' && temperature !== undefined) return 'this model takes temperature or top_p, not both';
  return thinks && topP !== undefined && topP < 0.95 ? NOT_WITH_THINKING : undefined;
}

function topKHindrance({ traits, thinks }: SamplingContext): string | undefined {
  if (traits.sampling === 'none') return NOT_TAKEN;
  return thinks ? NOT_WITH_THINKING : undefined;
}
