/** The demo provider over real HTTP, asked by the real SDKs of both dialects. */
import Anthropic from '@anthropic-ai/sdk';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { anthropicMessages } from '../../src/dialects/anthropic-messages/dialect.ts';
import { openaiChat } from '../../src/dialects/openai-chat/dialect.ts';
import { createDemoHandler } from '../../src/providers/demo/handler.ts';

const NOW_MS = 1_800_000_000_000;
let server: Server;
let origin: string;
/** How often the demo paused before a word. */
let pauses = 0;
let pauseMs = 0;

beforeAll(async () => {
  const handler = createDemoHandler({
    dialects: { chat: openaiChat, messages: anthropicMessages },
    nowMs: () => NOW_MS,
    sleep: async () => {
      pauses += 1;
      if (pauseMs > 0) await setTimeout(pauseMs);
    },
  });
  server = createServer(handler);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const openai = (): OpenAI => new OpenAI({ baseURL: `${origin}/demo/v1`, apiKey: 'none', maxRetries: 0 });
const anthropic = (): Anthropic => new Anthropic({ baseURL: `${origin}/demo`, apiKey: 'none', maxRetries: 0 });

const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
} as const;
const SAID = 'Is the line clear?';

describe('openai', () => {
  const messages = [{ role: 'user' as const, content: SAID }];
  const tools = [{ type: 'function' as const, function: { name: 'get_weather', parameters: SCHEMA } }];

  it('answers', async () => {
    const answer = await openai().chat.completions.create({ model: 'demo', messages });
    expect(answer).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-demo-/),
      model: 'demo',
      created: NOW_MS / 1000,
      system_fingerprint: 'signalbox-demo',
    });
    expect(answer.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: expect.stringContaining(SAID) } });
    expect(answer.usage?.total_tokens).toBe((answer.usage?.prompt_tokens ?? 0) + (answer.usage?.completion_tokens ?? 0));
    expect(await openai().chat.completions.create({ model: 'demo', messages })).toEqual(answer);
  });

  it('streams the same, word by word', async () => {
    const whole = await openai().chat.completions.create({ model: 'demo', messages });
    const stream = await openai().chat.completions.create({
      model: 'demo',
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let chunks = 0;
    let usage: unknown;
    for await (const chunk of stream) {
      const piece = chunk.choices[0]?.delta.content ?? '';
      text += piece;
      if (piece !== '') chunks += 1;
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe(whole.choices[0]?.message.content);
    expect(chunks).toBeGreaterThan(10);
    expect(usage).toEqual(whole.usage);
  });

  it('calls a tool, streamed or not, and quotes its result', async () => {
    const asked = { model: 'demo', messages: [{ role: 'user' as const, content: 'get_weather please' }], tools };
    const answer = await openai().chat.completions.create(asked);
    const call = answer.choices[0]?.message.tool_calls?.[0];
    expect(answer.choices[0]?.finish_reason).toBe('tool_calls');
    expect(call).toMatchObject({ type: 'function', function: { name: 'get_weather', arguments: '{"city":"city"}' } });
    const streamed = await openai().chat.completions.stream(asked).finalChatCompletion();
    expect(streamed.choices[0]?.message.tool_calls?.[0]).toMatchObject({
      function: { name: 'get_weather', arguments: '{"city":"city"}' },
    });
    const result = { role: 'tool' as const, tool_call_id: call?.id ?? '', content: '21 degrees' };
    const last = await openai().chat.completions.create({
      ...asked,
      messages: [...asked.messages, answer.choices[0]!.message, result],
    });
    expect(last.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: expect.stringContaining('21 degrees') } });
  });

  it('obeys n, stop, limits, schemas and reasoning', async () => {
    const create = async (more: object): Promise<OpenAI.ChatCompletion> =>
      openai().chat.completions.create({ model: 'demo', messages, ...more });
    expect((await create({ n: 2 })).choices).toHaveLength(2);
    expect((await create({ max_tokens: 3 })).choices[0]).toMatchObject({ finish_reason: 'length' });
    expect((await create({ max_completion_tokens: 3 })).usage?.completion_tokens).toBe(3);
    expect((await create({ stop: 'demo' })).choices[0]?.message.content).not.toContain('demo');
    const format = { type: 'json_schema', json_schema: { name: 'place', schema: SCHEMA, strict: true } };
    expect(JSON.parse((await create({ response_format: format })).choices[0]?.message.content ?? '')).toEqual({ city: 'city' });
    const thought = await create({ reasoning_effort: 'low' });
    expect(thought.usage?.completion_tokens_details?.reasoning_tokens).toBeGreaterThan(0);
    expect(thought.choices[0]?.message).toHaveProperty('reasoning_content');
  });

  it('embeds, in base64 and in plain numbers', async () => {
    const packed = await openai().embeddings.create({ model: 'demo', input: ['a', 'b'], dimensions: 16 });
    const plain = await openai().embeddings.create({
      model: 'demo',
      input: ['a', 'b'],
      dimensions: 16,
      encoding_format: 'float',
    });
    expect(packed.data[1]?.embedding).toHaveLength(16);
    for (const [at, value] of (plain.data[1]?.embedding ?? []).entries())
      expect(packed.data[1]?.embedding[at]).toBeCloseTo(value, 6);
  });

  it('refuses in its own words', async () => {
    const wrong = openai().chat.completions.create({ model: 'demo', messages: 'hello' } as never);
    await expect(wrong).rejects.toMatchObject({ status: 400, param: 'messages', type: 'invalid_request_error' });
    await expect(openai().embeddings.create({ model: 'demo', input: [] })).rejects.toMatchObject({ status: 400, param: 'input' });
    await expect(openai().models.list()).rejects.toMatchObject({ status: 405 });
  });
});

describe('anthropic', () => {
  const messages = [{ role: 'user' as const, content: SAID }];
  const tools = [{ name: 'get_weather', input_schema: SCHEMA as never }];
  const base = { model: 'demo', max_tokens: 1000, messages };

  it('answers, and streams the same', async () => {
    const whole = await anthropic().messages.create(base);
    expect(whole).toMatchObject({
      id: expect.stringMatching(/^msg_demo_/),
      stop_reason: 'end_turn',
      content: [{ type: 'text', text: expect.stringContaining(SAID) }],
    });
    const stream = anthropic().messages.stream(base);
    let pieces = 0;
    stream.on('text', () => {
      pieces += 1;
    });
    const streamed = await stream.finalMessage();
    expect(pieces).toBeGreaterThan(10);
    expect(streamed.content).toEqual(whole.content);
    expect(streamed.stop_reason).toBe('end_turn');
    expect(streamed.usage).toMatchObject({ input_tokens: whole.usage.input_tokens, output_tokens: whole.usage.output_tokens });
  });

  it('thinks, with a signature', async () => {
    const thinking = { type: 'enabled' as const, budget_tokens: 1024 };
    const whole = await anthropic().messages.create({ ...base, max_tokens: 2000, thinking });
    expect(whole.content.map(({ type }) => type)).toEqual(['thinking', 'text']);
    const streamed = await anthropic()
      .messages.stream({ ...base, max_tokens: 2000, thinking })
      .finalMessage();
    expect(streamed.content).toEqual(whole.content);
  });

  it('calls a tool, streamed or not, and quotes its result', async () => {
    const asked = { ...base, tools, tool_choice: { type: 'any' as const } };
    const answer = await anthropic().messages.create(asked);
    expect(answer.stop_reason).toBe('tool_use');
    const use = answer.content.find((block) => block.type === 'tool_use');
    expect(use).toMatchObject({ name: 'get_weather', input: { city: 'city' } });
    const streamed = await anthropic().messages.stream(asked).finalMessage();
    expect(streamed.content.map(({ type }) => type)).toEqual(['text', 'tool_use']);
    expect(streamed.content.find((block) => block.type === 'tool_use')).toMatchObject({ input: { city: 'city' } });
    const result = { type: 'tool_result' as const, tool_use_id: use?.id ?? '', content: '21 degrees' };
    const turns = [
      ...messages,
      { role: 'assistant' as const, content: answer.content },
      { role: 'user' as const, content: [result] },
    ];
    const last = await anthropic().messages.create({ ...asked, messages: turns });
    expect(last.content).toMatchObject([{ type: 'text', text: expect.stringContaining('21 degrees') }]);
  });

  it('obeys stop sequences and limits', async () => {
    const stopped = await anthropic().messages.create({ ...base, stop_sequences: ['demo'] });
    expect(stopped).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence: 'demo' });
    const cut = await anthropic()
      .messages.stream({ ...base, max_tokens: 3 })
      .finalMessage();
    expect(cut).toMatchObject({ stop_reason: 'max_tokens', usage: { output_tokens: 3 } });
  });

  it('refuses in its own words', async () => {
    const wrong = anthropic().messages.create({ model: 'demo', messages } as never);
    await expect(wrong).rejects.toMatchObject({
      status: 400,
      error: { type: 'error', error: { type: 'invalid_request_error' } },
    });
  });
});

describe('the wire', () => {
  const post = async (path: string, body: string): Promise<Response> => fetch(`${origin}${path}`, { method: 'POST', body });

  it('answers what is no request of its own', async () => {
    expect((await post('/demo/v1/messages?beta=true', '{')).status).toBe(400);
    expect((await post('/demo/v1/chat/completions', '[]')).status).toBe(400);
    expect((await post('/demo/v1/constructor', '{}')).status).toBe(404);
    expect((await post('/', '{}')).status).toBe(404);
  });

  it('stops as soon as the client leaves', async () => {
    pauseMs = 5;
    const abort = new AbortController();
    const body = JSON.stringify({ model: 'demo', stream: true, messages: [{ role: 'user', content: 'word '.repeat(30) }] });
    const response = await fetch(`${origin}/demo/v1/chat/completions`, { method: 'POST', body, signal: abort.signal });
    await response.body?.getReader().read();
    abort.abort();
    await setTimeout(60);
    const seen = pauses;
    await setTimeout(100);
    expect(pauses).toBe(seen);
    pauseMs = 0;
  });
});
