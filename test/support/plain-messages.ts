/** A second reading of the Messages API, straight from the recorded bodies and events: what the dialect must agree with. */
import type { JsonObject } from '../../src/dialects/dialect.ts';
import type { PlainAnswer } from './plain.ts';

/** The wire, as far as tests read it. */
export interface Block extends JsonObject {
  type: string;
  text: string;
  thinking: string;
  signature: string;
  id: string;
  name: string;
  input: unknown;
  citations?: unknown[];
  caller?: { type: string };
  content?: unknown;
}

export interface RawUsage extends JsonObject {
  input_tokens: number;
  output_tokens: number;
  cache_read_input_tokens?: number;
  cache_creation_input_tokens?: number;
  cache_creation?: { ephemeral_1h_input_tokens: number };
  output_tokens_details?: { thinking_tokens: number };
  server_tool_use?: { web_search_requests: number };
}

export interface Message extends JsonObject {
  id: string;
  model: string;
  content: Block[];
  stop_reason: string;
  stop_sequence: string | null;
  usage: RawUsage;
}

export interface Event extends JsonObject {
  type: string;
  index: number;
  message: Message;
  content_block: Block;
  delta: Block & { partial_json: string; citation: unknown };
  usage: RawUsage;
}

export const eventsOf = (stream: string): Event[] =>
  stream
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => JSON.parse(line.slice(5)) as Event);

/** The message a stream tells, put together as the API's documentation says. */
export function messageOf(stream: string): Message {
  let message = {} as Message;
  const pieces: string[] = [];
  for (const event of eventsOf(stream)) {
    const block = message.content?.[event.index] as Block;
    if (event.type === 'message_start') message = event.message;
    else if (event.type === 'content_block_start') message.content[event.index] = event.content_block;
    else if (event.type === 'message_delta') Object.assign(message, event.delta, { usage: { ...message.usage, ...event.usage } });
    else if (event.type === 'content_block_stop') {
      if (pieces[event.index]) block.input = JSON.parse(pieces[event.index]!);
    } else if (event.type === 'content_block_delta') {
      const { delta } = event;
      if (delta.type === 'text_delta') block.text += delta.text;
      if (delta.type === 'thinking_delta') block.thinking += delta.thinking;
      if (delta.type === 'signature_delta') block.signature += delta.signature;
      if (delta.type === 'citations_delta') block.citations = [...(block.citations ?? []), delta.citation];
      if (delta.type === 'input_json_delta') pieces[event.index] = (pieces[event.index] ?? '') + delta.partial_json;
    }
  }
  return message;
}

export function plainUsage(raw: RawUsage): Required<PlainAnswer>['usage'] & object {
  const read = raw.cache_read_input_tokens ?? 0;
  const written = raw.cache_creation_input_tokens ?? 0;
  return {
    inputTokens: raw.input_tokens + read + written,
    outputTokens: raw.output_tokens,
    cacheReadTokens: read,
    cacheWriteTokens: written,
    cacheWrite1hTokens: raw.cache_creation?.ephemeral_1h_input_tokens ?? 0,
    reasoningTokens: raw.output_tokens_details?.thinking_tokens ?? 0,
    webSearches: raw.server_tool_use?.web_search_requests ?? 0,
  };
}

const FINISH: Record<string, string> = {
  end_turn: 'stop',
  max_tokens: 'length',
  tool_use: 'tool_calls',
  stop_sequence: 'stop_sequence',
  refusal: 'refusal',
};

export function plainMessagesAnswer(body: JsonObject): PlainAnswer {
  const { id, model, content, stop_reason, usage } = body as Message;
  const join = (type: string, field: 'text' | 'thinking') =>
    content.map((block) => (block.type === type ? block[field] : '')).join('');
  return {
    id,
    model,
    choices: [
      {
        index: 0,
        text: join('text', 'text'),
        reasoning: join('thinking', 'thinking'),
        refusal: '',
        calls: content
          .filter((block) => block.type === 'tool_use')
          .map(({ id, name, input }, place) => ({ place, id, name, arguments: JSON.stringify(input) })),
        finish: FINISH[stop_reason] ?? 'unknown',
      },
    ],
    usage: plainUsage(usage),
  };
}

export function plainMessagesStream(text: string): PlainAnswer {
  return plainMessagesAnswer(messageOf(text));
}

/** What Anthropic's clients demand of a stream: consecutive indices, one open block at a time, the message's own events around them. */
export function blockOrderErrors(stream: string): string[] {
  const errors: string[] = [];
  const events = eventsOf(stream);
  let open: number | undefined;
  let next = 0;
  for (const { type, index } of events) {
    if (type === 'content_block_start') {
      if (open !== undefined || index !== next) errors.push(`start of ${index} while ${open} is open and ${next} expected`);
      open = index;
      next += 1;
    } else if (type.startsWith('content_block_')) {
      if (index !== open) errors.push(`${type} of ${index} while ${open} is open`);
      if (type === 'content_block_stop') open = undefined;
    }
  }
  const types = events.map(({ type }) => type);
  if (types[0] !== 'message_start') errors.push('message_start is not first');
  if (types.slice(-2).join() !== 'message_delta,message_stop') errors.push('message_delta and message_stop are not last');
  return errors;
}
