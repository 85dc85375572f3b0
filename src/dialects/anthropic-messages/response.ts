/** Whole answers, both ways. */
import type { AssistantPart, ChatResponse, FinishReason, Warning } from '../../core/chat.ts';
import { GatewayError } from '../../core/errors.ts';
import { badResponse, isObject } from '../../core/read.ts';
import type { JsonObject, ReplyContext } from '../dialect.ts';
import { decodeAssistantContent } from './content-decode.ts';
import { encodeAnswerContent } from './content-encode.ts';
import { decodeUsage, encodeUsage } from './usage.ts';
import { entry } from './wire.ts';

const FINISH: Readonly<Record<string, FinishReason>> = {
  end_turn: 'stop',
  stop_sequence: 'stop_sequence',
  max_tokens: 'length',
  tool_use: 'tool_calls',
  pause_turn: 'pause',
  refusal: 'refusal',
  model_context_window_exceeded: 'context_window',
};

const STOP_REASON: Readonly<Record<FinishReason, string>> = {
  stop: 'end_turn',
  stop_sequence: 'stop_sequence',
  length: 'max_tokens',
  tool_calls: 'tool_use',
  content_filter: 'refusal',
  refusal: 'refusal',
  pause: 'pause_turn',
  context_window: 'model_context_window_exceeded',
  unknown: 'end_turn',
};

export function decodeStopReason(value: unknown): FinishReason {
  return (typeof value === 'string' ? entry(FINISH, value) : undefined) ?? 'unknown';
}

/** What an answer holds beside its finish; some providers say `stop` although they called tools or refused. */
export interface Held {
  toolCalls: boolean;
  refusal: boolean;
}

export function encodeStopReason(finish: FinishReason, held: Held): string {
  const plain = finish === 'stop' || finish === 'unknown';
  if (plain && held.refusal) return 'refusal';
  return plain && held.toolCalls ? 'tool_use' : STOP_REASON[finish];
}

/** The words a refusal comes with (`stop_details.explanation`), which stand outside the content. */
export function refusalText(message: JsonObject): string | undefined {
  const details = message.stop_details;
  if (message.stop_reason !== 'refusal' || !isObject(details)) return undefined;
  return typeof details.explanation === 'string' && details.explanation !== '' ? details.explanation : undefined;
}

/** `service_tier` stands in `usage`. */
export function serviceTierOf(usage: unknown): string | undefined {
  return isObject(usage) && typeof usage.service_tier === 'string' ? usage.service_tier : undefined;
}

/** A provider's answer. `createdS` is 0: Anthropic does not say when. */
export function decodeResponse(body: JsonObject): ChatResponse {
  const usage = decodeUsage(body.usage);
  const serviceTier = serviceTierOf(body.usage);
  return {
    id: typeof body.id === 'string' ? body.id : '',
    model: typeof body.model === 'string' ? body.model : '',
    createdS: 0,
    choices: [
      {
        index: 0,
        content: [...decodeContent(body.content), ...refusalPart(body)],
        finish: decodeStopReason(body.stop_reason),
        ...(typeof body.stop_sequence === 'string' && { stopSequence: body.stop_sequence }),
      },
    ],
    ...(usage !== undefined && { usage }),
    ...(serviceTier !== undefined && { serviceTier }),
  };
}

function decodeContent(content: unknown): AssistantPart[] {
  if (!Array.isArray(content)) throw badResponse('The upstream answered without content');
  try {
    return decodeAssistantContent(content, 'content');
  } catch (cause) {
    if (cause instanceof GatewayError) throw badResponse(`The upstream's answer cannot be read: ${cause.message}`, cause);
    throw cause;
  }
}

function refusalPart(body: JsonObject): AssistantPart[] {
  const text = refusalText(body);
  return text === undefined ? [] : [{ type: 'refusal', text }];
}

/** The answer for a client: only the first choice can be told. */
export function encodeResponse(response: ChatResponse, context: ReplyContext, warn: (warning: Warning) => void): JsonObject {
  const [choice] = response.choices;
  if (response.choices.length > 1) warn({ param: 'n', reason: 'only the first choice can be told' });
  const content = choice?.content ?? [];
  const held = {
    toolCalls: content.some((part) => part.type === 'tool_call'),
    refusal: content.some((part) => part.type === 'refusal'),
  };
  return {
    id: response.id || context.requestId,
    type: 'message',
    role: 'assistant',
    model: response.model,
    content: encodeAnswerContent(content, warn),
    stop_reason: encodeStopReason(choice?.finish ?? 'unknown', held),
    stop_sequence: choice?.stopSequence ?? null,
    usage: { ...encodeUsage(response.usage), ...serviceTierField(response.serviceTier) },
  };
}

const TIERS: Readonly<Record<string, string>> = {
  standard: 'standard',
  default: 'standard',
  priority: 'priority',
  batch: 'batch',
};

function serviceTierField(tier: string | undefined): JsonObject {
  const known = tier === undefined ? undefined : entry(TIERS, tier);
  return known === undefined ? {} : { service_tier: known };
}
