/** The public surfaces as tests walk them: each with a way of asking, the answers its upstream gives, and the shape of its errors. */
import { expect } from 'vitest';

import { type Reply, jsonOf } from './ask.ts';
import { LAST_CHUNK, SSE_HEAD, type Step, chunk, whole } from './fault-upstream.ts';

/** What the upstream behind a front speaks. */
export type Wire = 'chat' | 'messages' | 'responses';

export interface Front {
  name: string;
  path: string;
  /** The model whose upstream speaks `wire`. */
  wire: Wire;
  isRelay: boolean;
  /** Whose words its errors are in. */
  words: 'openai' | 'anthropic';
}

export const FRONTS: readonly Front[] = [
  { name: 'chat, relayed', path: '/v1/chat/completions', wire: 'chat', isRelay: true, words: 'openai' },
  { name: 'chat, translated', path: '/v1/chat/completions', wire: 'messages', isRelay: false, words: 'openai' },
  { name: 'messages, relayed', path: '/v1/messages', wire: 'messages', isRelay: true, words: 'anthropic' },
  { name: 'messages, translated', path: '/v1/messages', wire: 'chat', isRelay: false, words: 'anthropic' },
  { name: 'responses, relayed', path: '/v1/responses', wire: 'responses', isRelay: true, words: 'openai' },
];

/** A sound request of the front; `more` replaces and adds members. */
export function requestOf({ path }: Front, model: string, more: object = {}): Record<string, unknown> {
  const messages = [{ role: 'user', content: 'Is the line clear?' }];
  if (path === '/v1/responses') return { model, input: 'Is the line clear?', ...more };
  return path === '/v1/messages' ? { model, max_tokens: 100, messages, ...more } : { model, messages, ...more };
}

export const TEXT = 'The line is clear.';

/** A whole answer's body. */
export const ANSWERS: Readonly<Record<Wire, object>> = {
  chat: {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1_700_000_000,
    model: 'served-model',
    choices: [{ index: 0, message: { role: 'assistant', content: TEXT, refusal: null }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 11, completion_tokens: 5, total_tokens: 16 },
  },
  messages: {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'served-model',
    content: [{ type: 'text', text: TEXT }],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: { input_tokens: 11, output_tokens: 5 },
  },
  responses: {
    id: 'resp_1',
    object: 'response',
    created_at: 1_700_000_000,
    status: 'completed',
    model: 'served-model',
    output: [
      { type: 'message', id: 'msg_1', role: 'assistant', content: [{ type: 'output_text', text: TEXT, annotations: [] }] },
    ],
    usage: { input_tokens: 11, output_tokens: 5, total_tokens: 16 },
  },
};

const data = (value: object): string => `data: ${JSON.stringify(value)}\n\n`;
const named = (value: { type: string }): string => `event: ${value.type}\n${data(value)}`;
const chatChunk = (more: object): string =>
  data({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1_700_000_000, model: 'served-model', ...more });
const chatDelta = (delta: object, finish: string | null = null): string =>
  chatChunk({ choices: [{ index: 0, delta, finish_reason: finish }], usage: null });

/** Events that say `text`, one of the stream's middle. */
export const MIDDLE: Readonly<Record<Wire, (text: string) => string>> = {
  chat: (text) => chatDelta({ content: text }),
  messages: (text) => named({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } } as { type: string }),
  responses: (text) =>
    named({ type: 'response.output_text.delta', item_id: 'msg_1', output_index: 0, content_index: 0, delta: text } as {
      type: string;
    }),
};

/** What comes before and after the middle of a whole stream. */
export const BEGIN: Readonly<Record<Wire, string>> = {
  chat: chatDelta({ role: 'assistant', content: '' }),
  messages:
    named({
      type: 'message_start',
      message: { ...ANSWERS.messages, content: [], stop_reason: null, usage: { input_tokens: 11, output_tokens: 1 } },
    } as { type: string }) +
    named({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } } as { type: string }),
  responses: named({ type: 'response.created', response: { ...ANSWERS.responses, status: 'in_progress', usage: null } } as {
    type: string;
  }),
};
export const END: Readonly<Record<Wire, string>> = {
  chat:
    chatDelta({}, 'stop') +
    chatChunk({ choices: [], usage: { prompt_tokens: 11, completion_tokens: 5, total_tokens: 16 } }) +
    'data: [DONE]\n\n',
  messages:
    named({ type: 'content_block_stop', index: 0 } as { type: string }) +
    named({ type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 5 } } as {
      type: string;
    }) +
    named({ type: 'message_stop' }),
  responses: named({ type: 'response.completed', response: ANSWERS.responses } as { type: string }),
};

/** A stream of these texts as steps of the fault server, each event a chunk of its own; `everyMs` between them. */
export function streamSteps(wire: Wire, texts: readonly string[] = TEXT.split(/(?<= )/), everyMs = 0): Step[] {
  const pause: Step[] = everyMs === 0 ? [] : [{ waitMs: everyMs }];
  return [
    { send: SSE_HEAD },
    { send: chunk(BEGIN[wire]) },
    ...texts.flatMap((text): Step[] => [...pause, { send: chunk(MIDDLE[wire](text)) }]),
    { send: chunk(END[wire]) },
    { send: LAST_CHUNK },
  ];
}

export function answerSteps(wire: Wire): Step[] {
  return [{ send: whole(200, JSON.stringify(ANSWERS[wire])) }];
}

/** The body of an upstream's refusal, in its own words. */
export function refusalOf(wire: Wire, message: string): string {
  if (wire === 'messages') return JSON.stringify({ type: 'error', error: { type: 'some_error', message } });
  return JSON.stringify({ error: { message, type: 'some_error', param: null, code: 'some_code' } });
}

const OPENAI_TYPES: Readonly<Record<number, string>> = { 429: 'rate_limit_error' };
const ANTHROPIC_TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  405: 'invalid_request_error',
  408: 'timeout_error',
  413: 'request_too_large',
  422: 'invalid_request_error',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
};

export interface Refusal {
  status: number;
  /** OpenAI's `code`; Anthropic's shape has none. */
  code: string;
  message?: string | RegExp;
  param?: string | null;
}

/** The answer is our error, exactly in the shape of the front's words. */
export function expectRefusal({ words, path }: Pick<Front, 'words' | 'path'>, reply: Reply, refusal: Refusal): void {
  const { status, code, message, param } = refusal;
  expect({ status: reply.status, body: reply.text }).toMatchObject({ status });
  expect(reply.headers['content-type']).toBe('application/json');
  expect(reply.headers['x-request-id']).toMatch(/^req_[0-9a-z]{24}$/);
  const text = typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message ?? /./);
  if (words === 'anthropic') {
    const type = ANTHROPIC_TYPES[status] ?? 'api_error';
    const requestId = reply.headers['x-request-id'];
    expect(jsonOf(reply), path).toEqual({ type: 'error', error: { type, message: text }, request_id: requestId });
    return;
  }
  const type = OPENAI_TYPES[status] ?? (status >= 500 ? 'server_error' : 'invalid_request_error');
  const anyParam = param === undefined ? expect.toBeOneOf([null, expect.any(String)]) : param;
  expect(jsonOf(reply), path).toEqual({ error: { message: text, type, param: anyParam, code } });
}

/** The last event of a stream's text is our error in the front's words; answers the text before it. */
export function expectErrorEvent(front: Front, reply: Reply, code: string): string {
  const at = reply.text.lastIndexOf(front.words === 'anthropic' || front.path === '/v1/responses' ? 'event: error\n' : 'data: ');
  const last = reply.text.slice(at);
  expect(reply.status).toBe(200);
  expect(reply.broken).toBeUndefined();
  expect(last).toMatch(/^(event: error\n)?data: \{.*\}\n\n$/);
  const event = JSON.parse(last.slice(last.indexOf('{'))) as object;
  const message = expect.any(String) as string;
  const type = code === 'upstream_timeout' ? 'timeout_error' : 'api_error';
  if (front.words === 'anthropic') {
    expect(event).toEqual({ type: 'error', error: { type, message }, request_id: reply.headers['x-request-id'] });
  } else if (front.path === '/v1/responses') {
    expect(event).toEqual({ type: 'error', message, code, param: null, sequence_number: expect.any(Number) });
  } else expect(event).toEqual({ error: { message, type: 'server_error', param: null, code } });
  expect(reply.text).not.toContain('[DONE]');
  expect(reply.text).not.toContain('message_stop');
  return reply.text.slice(0, at);
}
