/** Usage and end of a response, from its whole body or from a relayed stream. */
import type { UpstreamFailure } from '../../core/parts.ts';
import { type Json, isObject, listOf, objectOf, textOf } from '../../core/read.ts';
import { type AnswerSummary, type Findings, type StreamTap, noFindings } from '../../core/tap.ts';
import { type Usage, count } from '../../core/usage.ts';
import { failureOfEvent, failureOfResponse } from './error.ts';
import { dataOf, ERROR_EVENT, LIFECYCLE, namedType } from './wire.ts';

/** `finish` is `incomplete_details.reason` where generation was cut short, else the status (`completed`, `failed`). */
export function summarizeResponse(response: Json): AnswerSummary {
  const reason = textOf(objectOf(response.incomplete_details).reason);
  return {
    usage: usageOf(response),
    finish: reason || textOf(response.status) || undefined,
    model: textOf(response.model) || undefined,
    storedId: textOf(response.id) || undefined,
  };
}

function usageOf(response: Json): Usage | undefined {
  const { usage } = response;
  if (!isObject(usage) || (typeof usage.input_tokens !== 'number' && typeof usage.output_tokens !== 'number')) return undefined;
  const input = objectOf(usage.input_tokens_details);
  const inputTokens = count(usage.input_tokens);
  const outputTokens = Math.max(count(usage.output_tokens), count(usage.total_tokens) - inputTokens);
  const cacheReadTokens = Math.min(count(input.cached_tokens), inputTokens);
  return {
    inputTokens,
    outputTokens,
    cacheReadTokens,
    cacheWriteTokens: Math.min(count(input.cache_write_tokens), inputTokens - cacheReadTokens),
    cacheWrite1hTokens: 0,
    reasoningTokens: Math.min(count(objectOf(usage.output_tokens_details).reasoning_tokens), outputTokens),
    inputAudioTokens: 0,
    outputAudioTokens: 0,
    cacheReadAudioTokens: 0,
    webSearches: listOf(response.output).filter(isWebSearch).length,
  };
}

/** Opening a found page and looking through it are calls as well, but only the search is charged. */
function isWebSearch(item: Json): boolean {
  return item.type === 'web_search_call' && (!isObject(item.action) || item.action.type === 'search');
}

/** Every lifecycle event holds the response; every error names itself. Looked for as in the tap of openai-chat. */
const TELLING = /"response"|error/;

/**
 * Watches a relayed stream. Events are named, so of all but the lifecycle ones only the first line is read (0.4 µs);
 * usage comes unasked and nothing is ever taken out.
 */
export function responsesTap(): StreamTap {
  const seen = noFindings();
  return Object.assign(seen, {
    see(event: Buffer): true {
      const name = namedType(event);
      if (name === undefined || LIFECYCLE.has(name) || name === ERROR_EVENT) {
        const data = dataOf(event);
        if (data !== undefined) learn(seen, name, data);
      } else seen.sawContent ||= name.endsWith('.delta');
      return true;
    },
    isDull: (events: Buffer) => seen.sawContent && seen.state === 'open' && !TELLING.test(events.toString('latin1')),
  });
}

function learn(seen: Findings, name: string | undefined, data: Json): void {
  const type = textOf(data.type) || (name ?? '');
  const lifecycle = LIFECYCLE.get(type);
  if (lifecycle !== undefined && isObject(data.response)) follow(seen, lifecycle, data.response);
  else if (type === ERROR_EVENT || (type === '' && isObject(data.error))) fail(seen, failureOfEvent(data));
  else seen.sawContent ||= type.endsWith('.delta');
}

/** Later response objects know more than earlier ones. */
function follow(seen: Findings, state: StreamTap['state'], response: Json): void {
  const { usage, finish, model, storedId } = summarizeResponse(response);
  seen.storedId = storedId ?? seen.storedId;
  seen.usage = usage ?? seen.usage;
  seen.model = model ?? seen.model;
  if (state === 'open') return;
  seen.finish = finish;
  if (state === 'error') fail(seen, failureOfResponse(response));
  else if (seen.state === 'open') seen.state = 'done';
}

/** OpenAI sends `error` and then `response.failed` with fewer words: the first one tells more. */
function fail(seen: Findings, failure: UpstreamFailure): void {
  seen.state = 'error';
  seen.failure ??= failure;
}
