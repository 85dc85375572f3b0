/**
 * A second reading of what a recorded answer says it used, straight from its bytes and in the price list's own terms. It knows the recordings
 * and nothing of the dialects: what it and they agree upon has been read twice.
 */
import type { RecordedExchange } from './recordings.ts';

type Json = Record<string, unknown>;

export type RecordedUsage = {
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  input_audio_tokens: number;
  output_audio_tokens: number;
  output_reasoning_tokens: number;
  web_searches: number;
};

/** Undefined where the answer tells no usage. */
export function recordedUsage(recording: RecordedExchange): RecordedUsage | undefined {
  const bodies = bodiesOf(recording);
  const counts = Object.assign({}, ...bodies.flatMap(usagesIn)) as Json;
  if (Object.keys(counts).length === 0) return undefined;
  if (recording.endpoint === 'anthropic.messages') return anthropicCounts(counts);
  return openaiCounts(counts, bodies);
}

/** Why the answer ended, in the provider's own word. */
export function recordedFinish(recording: RecordedExchange): string | undefined {
  const words = bodiesOf(recording).flatMap((body) => {
    const choices = (body['choices'] ?? []) as Json[];
    const response = objectIn(body, 'response') ?? (body['object'] === 'response' ? body : undefined);
    const status = response === undefined || response['status'] === 'in_progress' ? undefined : response['status'];
    const finishes = choices.map((choice) => choice['finish_reason']);
    return finishes.concat(body['stop_reason'], objectIn(body, 'delta')?.['stop_reason'], status);
  });
  return words.find((word): word is string => typeof word === 'string' && word !== '');
}

/** The whole body, or the data of every event of a stream. */
function bodiesOf({ response }: RecordedExchange): Json[] {
  if (response.kind === 'json') return [response.body ?? {}];
  return [...(response.text ?? '').matchAll(/^data: ?(\{.*\})\r?$/gm)].map((match) => JSON.parse(match[1]!) as Json);
}

/** Wherever providers put it; later counts replace earlier ones. */
function usagesIn(body: Json): Json[] {
  const places = [body, objectIn(body, 'x_groq'), objectIn(body, 'message'), objectIn(body, 'response')];
  return places.map((place) => objectIn(place, 'usage')).filter((usage) => usage !== undefined);
}

function openaiCounts(counts: Json, bodies: Json[]): RecordedUsage {
  const input = objectIn(counts, 'prompt_tokens_details') ?? objectIn(counts, 'input_tokens_details') ?? {};
  const output = objectIn(counts, 'completion_tokens_details') ?? objectIn(counts, 'output_tokens_details') ?? {};
  const prompt = number(counts['prompt_tokens'] ?? counts['input_tokens']);
  return {
    input_tokens: prompt,
    output_tokens: Math.max(
      number(counts['completion_tokens'] ?? counts['output_tokens']),
      number(counts['total_tokens']) - prompt,
    ),
    cache_read_tokens: number(input['cached_tokens'] ?? counts['prompt_cache_hit_tokens']),
    cache_write_tokens: number(input['cache_write_tokens']),
    input_audio_tokens: number(input['audio_tokens']),
    output_audio_tokens: number(output['audio_tokens']),
    output_reasoning_tokens: number(output['reasoning_tokens']),
    web_searches: searchesIn(bodies),
  };
}

function anthropicCounts(counts: Json): RecordedUsage {
  const read = number(counts['cache_read_input_tokens']);
  const written = number(counts['cache_creation_input_tokens']);
  return {
    input_tokens: number(counts['input_tokens']) + read + written,
    output_tokens: number(counts['output_tokens']),
    cache_read_tokens: read,
    cache_write_tokens: written,
    input_audio_tokens: 0,
    output_audio_tokens: 0,
    output_reasoning_tokens: number(objectIn(counts, 'output_tokens_details')?.['thinking_tokens']),
    web_searches: number(objectIn(counts, 'server_tool_use')?.['web_search_requests']),
  };
}

/** In the output of the finished response. */
function searchesIn(bodies: Json[]): number {
  const last = bodies.at(-1) ?? {};
  const output = (objectIn(last, 'response')?.['output'] ?? last['output'] ?? []) as Json[];
  return output.filter((item) => item['type'] === 'web_search_call').length;
}

function objectIn(value: Json | undefined, name: string): Json | undefined {
  const found = value?.[name];
  return typeof found === 'object' && found !== null && !Array.isArray(found) ? (found as Json) : undefined;
}

function number(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
