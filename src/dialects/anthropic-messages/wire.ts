/**
 * What the Messages API looks like on the wire, and how its bodies are read.
 * Source: the types of @anthropic-ai/sdk 0.137 and 1.12 and platform.claude.com/docs/en/api/messages.
 */
import type { CacheControl } from '../../core/chat.ts';
import { isObject, may, must } from '../../core/read.ts';
import type { JsonObject } from '../dialect.ts';

export const DIALECT = 'anthropic-messages';

/**
 * The `anthropic-version` of every translated request. 2026-10-21 refuses `temperature`, `top_p` and `top_k`, which other
 * dialects' clients send as a matter of course; relayed requests keep the version their client chose.
 */
export const ANTHROPIC_VERSION = '2023-06-01';

/** A content block, of which only `type` is sure. */
export type Block = JsonObject & { type: string };

export function mayStrings(value: unknown, param: string): string[] | undefined {
  return may('array', value, param)?.map((item, index) => must('string', item, `${param}[${index}]`));
}

/** A table's own entry: a word from outside such as `constructor` must not find what every object inherits. */
export function entry<Value>(table: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

export function decodeCacheControl(value: unknown, param: string): CacheControl | undefined {
  const marker = may('object', value, param);
  if (marker === undefined) return undefined;
  const ttl = may('string', marker.ttl, `${param}.ttl`);
  return { type: 'ephemeral', ...(ttl !== undefined && { ttl }) };
}

/** `{ cache_control }` for spreading into a block, or nothing. */
export function cacheControlField(part: { cacheControl?: CacheControl }): JsonObject {
  return part.cacheControl === undefined ? {} : { cache_control: { ...part.cacheControl } };
}

/**
 * Fields of a block that have no neutral meaning travel in a native part right behind the part they belong to
 * (citations of a text, `caller` of a tool call), so that other dialects still get the text or the call itself.
 */
export const ANNOTATION = 'annotation';

/** Tool arguments as the object the API wants; text that is no JSON object is kept where the model can still read it. */
export function inputOf(argumentsText: string): JsonObject {
  if (argumentsText.trim() === '') return {};
  try {
    const parsed: unknown = JSON.parse(argumentsText);
    if (isObject(parsed)) return parsed;
  } catch {
    // A call cut short by the token limit, or a model that wrote no JSON.
  }
  return { invalid_json: argumentsText };
}

/** Tool ids must match ^[a-zA-Z0-9_-]+$ (Kimi and Gemini make `functions.name:0`); calls and results change alike. */
export function toolId(id: string): string {
  return id.replaceAll(/[^a-zA-Z0-9_-]/g, '_') || 'call';
}

/** One SSE event as Anthropic writes them. */
export function sse(event: string, data: JsonObject): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
