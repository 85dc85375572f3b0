/** The demo model of a first run, asked through the gateway by the real SDKs of both dialects, two majors of each. */
import Anthropic from '@anthropic-ai/sdk';
import Anthropic0 from 'anthropic-sdk-0';
import OpenAI from 'openai';
import OpenAI6 from 'openai-6';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ask, jsonOf } from '../support/ask.ts';
import { type ExchangeLog, exchangeLog } from '../support/exchange-log.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

let box: Signalbox;
let log: ExchangeLog;

beforeAll(async () => {
  box = await startSignalbox({ args: ['--workers', '2'] });
  log = exchangeLog(box);
});
afterAll(async () => {
  expect(await box?.stop()).toBe(0);
});

/** The model, and the demo agents as models. */
const SHOWN = ['demo', 'a2a/demo-echo', 'a2a/demo-travel'];
const SAID = 'Is the line to Norwich clear?';
const SCHEMA = {
  type: 'object' as const,
  properties: { city: { type: 'string' as const } },
  required: ['city'],
  additionalProperties: false as const,
};

describe.each<[string, () => OpenAI]>([
  ['openai 7', () => new OpenAI({ baseURL: `${box.url}/v1`, apiKey: box.key, maxRetries: 0 })],
  ['openai 6', () => new OpenAI6({ baseURL: `${box.url}/v1`, apiKey: box.key, maxRetries: 0 }) as unknown as OpenAI],
])('%s', (_, client) => {
  const messages = [{ role: 'user' as const, content: SAID }];
  const tools = [{ type: 'function' as const, function: { name: 'get_weather', parameters: SCHEMA } }];

  it('gets an answer that says whose it is, free of charge', async () => {
    const { data, response } = await client().chat.completions.create({ model: 'demo', messages }).withResponse();
    expect(data.choices[0]).toMatchObject({ finish_reason: 'stop', message: { role: 'assistant' } });
    expect(data.choices[0]!.message.content).toContain(SAID);
    expect(data.choices[0]!.message.content).toMatch(/demo/i);
    expect(data.usage!.total_tokens).toBe(data.usage!.prompt_tokens + data.usage!.completion_tokens);
    expect(response.headers.get('x-signalbox-cost-usd')).toBe('0');
    expect(response.headers.get('x-signalbox-provider')).toBe('demo');
    expect(await log.of(response.headers.get('x-request-id')!)).toMatchObject({ outcome: 'ok', cost_usd: '0', surface: 'chat' });
  });

  it('gets the same answer streamed, word by word, with usage only where it asked', async () => {
    const whole = await client().chat.completions.create({ model: 'demo', messages });
    for (const asks of [true, false]) {
      const options = asks ? { stream_options: { include_usage: true } } : {};
      const stream = await client().chat.completions.create({ model: 'demo', messages, stream: true, ...options });
      const pieces: string[] = [];
      const arrivedAt: number[] = [];
      let usage: OpenAI.CompletionUsage | null | undefined;
      for await (const chunk of stream) {
        pieces.push(chunk.choices[0]?.delta.content ?? '');
        arrivedAt.push(performance.now());
        usage = chunk.usage ?? usage;
      }
      expect(pieces.join('')).toBe(whole.choices[0]!.message.content);
      expect(pieces.filter((piece) => piece !== '').length).toBeGreaterThan(10);
      expect(arrivedAt.at(-1)! - arrivedAt[0]!).toBeGreaterThan(100);
      expect(usage).toEqual(asks ? whole.usage : undefined);
    }
  });

  it('calls a tool, streamed or not, and goes on with its result', async () => {
    const asked = { model: 'demo', messages: [{ role: 'user' as const, content: 'get_weather please' }], tools };
    const answer = await client().chat.completions.create(asked);
    const call = { type: 'function', function: { name: 'get_weather', arguments: '{"city":"city"}' } };
    expect(answer.choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { tool_calls: [call] } });
    const streamed = await client().chat.completions.stream(asked).finalChatCompletion();
    expect(streamed.choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { tool_calls: [call] } });
    const result = { role: 'tool' as const, tool_call_id: answer.choices[0]!.message.tool_calls![0]!.id, content: '21 degrees' };
    const turns = [...asked.messages, answer.choices[0]!.message, result];
    const last = await client().chat.completions.create({ ...asked, messages: turns });
    expect(last.choices[0]!.message.content).toContain('21 degrees');
  });

  it('obeys a schema, embeds, and lists the model', async () => {
    const format = { type: 'json_schema' as const, json_schema: { name: 'place', schema: SCHEMA, strict: true } };
    const shaped = await client().chat.completions.create({ model: 'demo', messages, response_format: format });
    expect(JSON.parse(shaped.choices[0]!.message.content!)).toEqual({ city: 'city' });
    const embedded = await client().embeddings.create({ model: 'demo', input: ['a', 'b'], dimensions: 16 });
    expect(embedded.data.map(({ embedding }) => embedding.length)).toEqual([16, 16]);
    expect((await client().models.list()).data).toMatchObject(SHOWN.map((id) => ({ id, object: 'model' })));
    expect(await client().models.retrieve('demo')).toMatchObject({ id: 'demo' });
  });

  it('throws what its users catch', async () => {
    const missing = client().chat.completions.create({ model: 'dmo', messages });
    await expect(missing).rejects.toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
    await expect(missing).rejects.toThrow(/Did you mean `demo`\?/);
    const wrong = client().chat.completions.create({ model: 'demo', messages: 'hello' } as never);
    await expect(wrong).rejects.toMatchObject({ status: 400, param: 'messages', type: 'invalid_request_error' });
    await expect(client().responses.create({ model: 'demo', input: 'x' })).rejects.toMatchObject({ status: 400 });
  });
});

describe.each<[string, () => Anthropic]>([
  ['@anthropic-ai/sdk 1', () => new Anthropic({ baseURL: box.url, apiKey: box.key, maxRetries: 0 })],
  ['@anthropic-ai/sdk 1 by token', () => new Anthropic({ baseURL: box.url, authToken: box.key, apiKey: null, maxRetries: 0 })],
  ['@anthropic-ai/sdk 0', () => new Anthropic0({ baseURL: box.url, apiKey: box.key, maxRetries: 0 }) as unknown as Anthropic],
])('%s', (_, client) => {
  const messages = [{ role: 'user' as const, content: SAID }];
  const base = { model: 'demo', max_tokens: 1_000, messages };
  const tools = [{ name: 'get_weather', input_schema: SCHEMA }];

  it('gets an answer, and the same one streamed', async () => {
    const whole = await client().messages.create(base);
    expect(whole).toMatchObject({ type: 'message', stop_reason: 'end_turn', content: [{ type: 'text' }] });
    expect(whole.content[0]).toMatchObject({ text: expect.stringContaining(SAID) });
    const stream = client().messages.stream(base);
    let pieces = 0;
    stream.on('text', () => (pieces += 1));
    const streamed = await stream.finalMessage();
    expect(pieces).toBeGreaterThan(10);
    expect(streamed.content).toEqual(whole.content);
    expect(streamed.stop_reason).toBe('end_turn');
    const { input_tokens, output_tokens } = whole.usage;
    expect(streamed.usage).toMatchObject({ input_tokens, output_tokens });
  });

  it('thinks where it is asked to', async () => {
    const thinking = { type: 'enabled' as const, budget_tokens: 1_024 };
    const asked = { ...base, max_tokens: 3_000, thinking };
    const whole = await client().messages.create(asked);
    const streamed = await client().messages.stream(asked).finalMessage();
    expect(whole.content.map(({ type }) => type)).toEqual(['thinking', 'text']);
    expect(streamed.content.map(({ type }) => type)).toEqual(['thinking', 'text']);
  });

  it('calls a tool, streamed or not, and goes on with its result', async () => {
    const asked = { ...base, tools, tool_choice: { type: 'any' as const } };
    const answer = await client().messages.create(asked);
    const use = answer.content.find((block) => block.type === 'tool_use')!;
    expect(answer.stop_reason).toBe('tool_use');
    expect(use).toMatchObject({ name: 'get_weather', input: { city: 'city' } });
    const streamed = await client().messages.stream(asked).finalMessage();
    expect(streamed.content.find((block) => block.type === 'tool_use')).toMatchObject({ input: { city: 'city' } });
    const result = { type: 'tool_result' as const, tool_use_id: use.id, content: '21 degrees' };
    const turns = [
      ...messages,
      { role: 'assistant' as const, content: answer.content },
      { role: 'user' as const, content: [result] },
    ];
    const last = await client().messages.create({ ...base, tools, messages: turns });
    expect(last.content).toMatchObject([{ type: 'text', text: expect.stringContaining('21 degrees') }]);
  });

  it('counts tokens, lists the model, obeys limits', async () => {
    const { input_tokens: counted } = await client().messages.countTokens({ model: 'demo', messages });
    expect(counted).toBeGreaterThan(0);
    expect((await client().models.list()).data).toMatchObject(SHOWN.map((id) => ({ id, type: 'model' })));
    expect(await client().models.retrieve('demo')).toMatchObject({ id: 'demo', display_name: 'demo' });
    const cut = await client().messages.create({ ...base, max_tokens: 3 });
    expect(cut).toMatchObject({ stop_reason: 'max_tokens', usage: { output_tokens: 3 } });
    const stopped = await client().messages.create({ ...base, stop_sequences: ['demo'] });
    expect(stopped.content.map((block) => (block.type === 'text' ? block.text : '')).join('')).not.toContain('demo');
  });

  it('throws what its users catch', async () => {
    const missing = client().messages.create({ ...base, model: 'dmo' });
    await expect(missing).rejects.toMatchObject({ status: 404, error: { type: 'error', error: { type: 'not_found_error' } } });
    const wrong = client().messages.create({ model: 'demo', messages } as never);
    await expect(wrong).rejects.toMatchObject({ status: 400, error: { error: { type: 'invalid_request_error' } } });
    await expect(wrong).rejects.toThrow(/max_tokens/);
  });
});

describe('both dialects', () => {
  it('say the same to the same question', async () => {
    const ours = { model: 'demo', messages: [{ role: 'user', content: SAID }] };
    const headers = { 'x-api-key': box.key };
    const chat = jsonOf(await ask(`${box.url}/v1/chat/completions`, { headers, body: ours }));
    const message = jsonOf(await ask(`${box.url}/v1/messages`, { headers, body: { ...ours, max_tokens: 1_000 } }));
    const [choice] = chat['choices'] as { message: { content: string } }[];
    expect(message['content']).toEqual([expect.objectContaining({ type: 'text', text: choice!.message.content })]);
  });

  it('say it also where the demo itself speaks Messages', async () => {
    const config = JSON.stringify({
      server: { workers: 1 },
      providers: { 'demo-anthropic': {} },
      models: [{ name: 'demo', targets: [{ provider: 'demo-anthropic', model: 'demo' }] }],
      keys: [{ name: 'client', key: '${env:KEY}', models: ['*'] }],
      admin: { key: '${env:ADMIN}' },
    });
    const key = 'a-key-of-the-file-0001';
    const other = await startSignalbox({ config, env: { KEY: key, ADMIN: 'an-admin-key-of-the-file' } });
    try {
      const base = { model: 'demo', max_tokens: 1_000, messages: [{ role: 'user' as const, content: SAID }] };
      const relayed = new Anthropic({ baseURL: other.url, apiKey: key, maxRetries: 0 });
      const translated = new OpenAI({ baseURL: `${other.url}/v1`, apiKey: key, maxRetries: 0 });
      const here = new Anthropic({ baseURL: box.url, apiKey: box.key, maxRetries: 0 });
      const { content } = await here.messages.create(base);
      expect((await relayed.messages.create(base)).content).toEqual(content);
      expect((await relayed.messages.stream(base).finalMessage()).content).toEqual(content);
      const whole = await translated.chat.completions.create(base);
      const streamed = await translated.chat.completions.stream(base).finalChatCompletion();
      for (const { choices } of [whole, streamed])
        expect(content).toMatchObject([{ type: 'text', text: choices[0]!.message.content }]);
    } finally {
      expect(await other.stop()).toBe(0);
    }
  });
});
