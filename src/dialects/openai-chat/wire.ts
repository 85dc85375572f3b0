/**
 * What OpenAI's Chat Completions look like on the wire, and the many who imitate them.
 * Source: the types of openai 7.57 and the recorded answers of some twenty providers.
 */
import type { CacheControl, FinishReason, NativePart, Warning } from '../../core/chat.ts';
import { type Json, isObject, listOf, may, textOf } from '../../core/read.ts';

export const DIALECT = 'openai-chat';

/** `finish_reason` as providers say it. Not OpenAI's: model_length (Mistral), sensitive (Z.ai), end_turn and max_tokens (proxies of Claude). */
const FINISH_WORDS: ReadonlyMap<string, FinishReason> = new Map([
  ['stop', 'stop'],
  ['end_turn', 'stop'],
  ['stop_sequence', 'stop_sequence'],
  ['length', 'length'],
  ['max_tokens', 'length'],
  ['model_length', 'length'],
  ['tool_calls', 'tool_calls'],
  ['tool_use', 'tool_calls'],
  ['function_call', 'tool_calls'],
  ['content_filter', 'content_filter'],
  ['sensitive', 'content_filter'],
  ['refusal', 'refusal'],
  ['model_context_window_exceeded', 'context_window'],
]);

/** OpenAI itself says `stop` where a tool was forced, Gemini's imitation always: an answer that calls tools ended for them. */
export function finishOf(word: unknown, callsTools: boolean): FinishReason {
  const reason = (typeof word === 'string' && FINISH_WORDS.get(word)) || 'unknown';
  return callsTools && (reason === 'stop' || reason === 'unknown') ? 'tool_calls' : reason;
}

/** OpenAI's closed list. A refusal is Anthropic's word for what its classifiers stopped; a paused turn has no word and the caller is warned. */
const FINISH: Readonly<Record<Exclude<FinishReason, 'unknown'>, string>> = {
  stop: 'stop',
  stop_sequence: 'stop',
  length: 'length',
  tool_calls: 'tool_calls',
  content_filter: 'content_filter',
  refusal: 'content_filter',
  pause: 'stop',
  context_window: 'length',
};

export function finishWord(reason: FinishReason, callsTools: boolean): string {
  return reason === 'unknown' ? (callsTools ? 'tool_calls' : 'stop') : FINISH[reason];
}

/** `data:<type>;base64,<data>` taken apart; undefined for every other URL. */
export function parseDataUrl(url: string): { mediaType: string; data: string } | undefined {
  const comma = url.startsWith('data:') ? url.indexOf(',') : -1;
  const head = url.slice('data:'.length, comma);
  if (comma < 0 || !head.endsWith(';base64')) return undefined;
  return { mediaType: head.split(';', 1)[0] ?? '', data: url.slice(comma + 1) };
}

export function dataUrl(source: { mediaType: string; data: string }): string {
  return `data:${source.mediaType};base64,${source.data}`;
}

/** Clients of OpenRouter and LiteLLM mark what Anthropic shall cache on parts, messages and tools. */
export function readCacheControl(value: Json, path: string): { cacheControl?: CacheControl } {
  const marker = may('object', value.cache_control, `${path}.cache_control`);
  if (marker === undefined) return {};
  const ttl = may('string', marker.ttl, `${path}.cache_control.ttl`);
  return { cacheControl: { type: 'ephemeral', ...(ttl !== undefined && { ttl }) } };
}

export function native(value: Json): NativePart {
  return { type: 'native', dialect: DIALECT, value };
}

/** Members of a message or a delta that only this dialect has: spoken answers, citations, generated images. They travel as `{annotation}` parts. */
const ANNOTATIONS = ['audio', 'annotations', 'images'] as const;

/** One native part for each member that says something. */
export function readAnnotations(message: Json): NativePart[] {
  return ANNOTATIONS.filter((name) => speaks(message[name])).map((name) =>
    native({ type: 'annotation', fields: { [name]: message[name] } }),
  );
}

/** Empty lists, and Snowflake's audio object full of blanks, say nothing. */
function speaks(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return isObject(value) && Object.values(value).some((field) => field !== '' && field !== 0 && field !== null);
}

/** The members a native part stands for, or undefined where it is no annotation of this dialect. */
export function annotationFields(part: NativePart): Json | undefined {
  const { type, fields } = part.value;
  return part.dialect === DIALECT && type === 'annotation' && isObject(fields) ? fields : undefined;
}

/** Mistral's `{type: thinking, thinking: [{type: text, text}]}` in a list of content parts. */
export function thinkingText(part: Json): string {
  return listOf(part.thinking)
    .map((piece) => textOf(piece.text))
    .join('');
}

/** OpenAI's clients parse arguments as JSON: no arguments are an empty object. */
export function argumentsText(text: string): string {
  return text.trim() === '' ? '{}' : text;
}

/** `{content, refusal}` with at least one list of tokens; Snowflake sends both as null. */
export function readLogprobs(value: unknown): Json | undefined {
  return isObject(value) && (Array.isArray(value.content) || Array.isArray(value.refusal)) ? value : undefined;
}

/** One SSE event as OpenAI writes them. */
export function sse(data: Json): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

/** A long list of names on few lines. */
export function words(list: string): string[] {
  return list.split(' ');
}

/** A long conversation or stream repeats what cannot be said; one warning says so. */
export function onceEach(warn: (warning: Warning) => void): (warning: Warning) => void {
  const seen = new Set<string>();
  return (warning) => {
    const said = `${warning.param} ${warning.reason}`;
    if (seen.has(said)) return;
    seen.add(said);
    warn(warning);
  };
}
