/**
 * Chat Completions and Messages, each as the other: recorded answers reach the other's clients, recorded requests the other's providers.
 * The readings of both sides (plain-chat, plain-messages) come straight from the wire and know nothing of the dialects.
 */
import { Anthropic } from '@anthropic-ai/sdk';
import { Anthropic as Anthropic0 } from 'anthropic-sdk-0';
import { OpenAI } from 'openai';
import { OpenAI as OpenAI6 } from 'openai-6';
import { describe, expect, it } from 'vitest';

import { GatewayError } from '../../src/core/errors.ts';
import { compact } from '../../src/core/read.ts';
import { anthropicMessages } from '../../src/dialects/anthropic-messages/dialect.ts';
import type { Dialect, JsonObject } from '../../src/dialects/dialect.ts';
import { openaiChat } from '../../src/dialects/openai-chat/dialect.ts';
import { asChatTells, asMessagesTell, shared } from '../support/both-dialects.ts';
import { assemble, decodeStream } from '../support/parts.ts';
import { plainChatAnswer, plainChatStream } from '../support/plain-chat.ts';
import { type Block, blockOrderErrors, messageOf, plainMessagesAnswer, plainMessagesStream } from '../support/plain-messages.ts';
import { describeRecorded, readRecordings } from '../support/recordings.ts';

interface Captured {
  request: JsonObject;
  response?: JsonObject;
  response_stream?: JsonObject[];
}

interface ParityCase {
  id: string;
  formats: Record<string, Record<string, Captured>>;
}

interface ClientCase {
  id: string;
  request: { path: string; body: JsonObject };
}

interface Recorded {
  id: string;
  request?: JsonObject;
  answer?: JsonObject;
  stream?: string;
}

/** Everything recorded in one format: exchanges by their endpoint, and parity cases. */
function recorded(endpoint: string, format: string, write: (events: JsonObject[]) => string): Recorded[] {
  const found: Recorded[] = [];
  for (const { id, endpoint: spoken, model, request, response } of readRecordings()) {
    if (spoken !== endpoint || response.status !== 200 || response.body?.error) continue;
    const asked = request.body === null ? undefined : { model, ...request.body };
    found.push(compact({ id, request: asked, answer: response.body, stream: response.text }));
  }
  for (const { id, formats } of readRecordings<ParityCase>('parity')) {
    for (const [turn, { request, response, response_stream: events }] of Object.entries(formats[format] ?? {})) {
      found.push(compact({ id: `${id} ${turn}`, request, answer: response, stream: events && write(events) }));
    }
  }
  return found;
}

const ofAnthropic = () =>
  recorded('anthropic.messages', 'anthropic', (events) =>
    events.map((event) => `event: ${String(event.type)}\ndata: ${JSON.stringify(event)}\n\n`).join(''),
  );

const ofOpenAi = () =>
  recorded(
    'openai.chat',
    'chat-completions',
    (chunks) => chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('') + 'data: [DONE]\n\n',
  );

const reply = { requestId: 'req_1', nowS: 1_700_000_000, includeUsage: true };

function answerFor(client: Dialect, provider: Dialect, answer: JsonObject): JsonObject {
  return JSON.parse(
    JSON.stringify(client.response.encode(provider.response.decode(answer), reply, () => undefined)),
  ) as JsonObject;
}

function streamFor(client: Dialect, provider: Dialect, stream: string): string {
  const encoder = client.stream.encoder(reply, () => undefined);
  return decodeStream(provider, [Buffer.from(stream)])
    .map((part) => encoder.encode(part))
    .join('');
}

const streams = (all: Recorded[]) =>
  all.flatMap(({ id, stream }) => (stream === undefined || stream.includes('event: error') ? [] : [{ id, stream }]));
const answers = (all: Recorded[]) => all.flatMap(({ id, answer }) => (answer === undefined ? [] : [{ id, answer }]));
const requests = (all: Recorded[]) => all.flatMap(({ id, request }) => (request === undefined ? [] : [{ id, request }]));

describeRecorded('recorded answers of Anthropic', () => {
  const all = ofAnthropic();

  it.each(answers(all))('$id: reaches an OpenAI client', ({ answer }) => {
    const told = asChatTells(plainMessagesAnswer(answer));
    expect(shared(plainChatAnswer(answerFor(openaiChat, anthropicMessages, answer)))).toEqual(told);
  });

  it.each(streams(all))('$id: reaches an OpenAI client streamed, and as if it were whole', ({ stream }) => {
    const told = asChatTells(plainMessagesStream(stream));
    const streamed = plainChatStream(streamFor(openaiChat, anthropicMessages, stream));
    expect(shared(streamed)).toEqual(told);
    expect(shared(plainChatAnswer(answerFor(openaiChat, anthropicMessages, messageOf(stream))))).toEqual(told);
  });

  describe.each([
    ['openai 7', OpenAI],
    ['openai 6', OpenAI6 as unknown as typeof OpenAI],
  ])('%s', (_name, Client) => {
    it.each(streams(all))('$id: is read', async ({ stream }) => {
      const body = streamFor(openaiChat, anthropicMessages, stream);
      const client = new Client({ apiKey: 'k', baseURL: 'http://localhost', fetch: async () => eventStream(body) });
      const completion = await client.chat.completions
        .stream({ model: 'm', messages: [], stream_options: { include_usage: true } })
        .finalChatCompletion();
      const told = asChatTells(plainMessagesStream(stream));
      const read = shared(plainChatAnswer(completion as unknown as JsonObject));
      // The SDK keeps only what its types know of a message: no reasoning.
      expect({ ...read, reasoning: told.reasoning }).toEqual(told);
    });
  });
});

describeRecorded('recorded Chat Completions', () => {
  const all = ofOpenAi();

  it.each(answers(all))('$id: reaches an Anthropic client', ({ answer }) => {
    const body = answerFor(anthropicMessages, openaiChat, answer);
    expect(shared(plainMessagesAnswer(body))).toEqual(asMessagesTell(plainChatAnswer(answer)));
  });

  it.each(streams(all))('$id: reaches an Anthropic client streamed, and as if it were whole', ({ stream }) => {
    const told = asMessagesTell(plainChatStream(stream));
    const body = streamFor(anthropicMessages, openaiChat, stream);
    expect(blockOrderErrors(body)).toEqual([]);
    expect(shared(plainMessagesStream(body))).toEqual(told);

    const { id, model, choices, usage } = assemble(decodeStream(openaiChat, [Buffer.from(stream)]));
    const whole = anthropicMessages.response.encode(
      { id, model, createdS: 0, choices, ...(usage !== undefined && { usage }) },
      reply,
      () => undefined,
    );
    expect(messageOf(body).content).toEqual(whole.content);
    expect(messageOf(body)).toMatchObject({ stop_reason: whole.stop_reason, stop_sequence: whole.stop_sequence });
  });

  const broken = all.flatMap(({ id, stream }) => (stream?.includes('event: error') ? [{ id, stream }] : []));

  it.each(broken)('$id: reaches an Anthropic client as an error, never as an end', ({ stream }) => {
    const body = streamFor(anthropicMessages, openaiChat, stream);
    expect(body).toMatch(/event: error\ndata: \{"type":"error","error":\{"type":"\w+_error","message":"[^"]+.*\n\n$/);
    expect(body).not.toContain('message_stop');
  });

  describe.each([
    ['@anthropic-ai/sdk 1', Anthropic],
    ['@anthropic-ai/sdk 0', Anthropic0 as unknown as typeof Anthropic],
  ])('%s', (_name, Client) => {
    it.each(streams(all))('$id: is read', async ({ stream }) => {
      const body = streamFor(anthropicMessages, openaiChat, stream);
      const client = new Client({ apiKey: 'k', baseURL: 'http://localhost', fetch: async () => eventStream(body) });
      const message = await client.messages.stream({ model: 'm', max_tokens: 1, messages: [] }).finalMessage();
      const read = shared(plainMessagesAnswer(message as unknown as JsonObject));
      expect(read).toEqual(shared(plainMessagesStream(body)));
    });
  });
});

const eventStream = (body: string) => new Response(body, { headers: { 'content-type': 'text/event-stream' } });

describeRecorded('recorded requests', () => {
  const clients = readRecordings<ClientCase>('clients')
    .filter(({ request }) => request.path === '/v1/chat/completions')
    .map(({ id, request }) => ({ id, request: request.body }));

  function translate(from: Dialect, to: Dialect, request: JsonObject, upstreamModel: string): JsonObject | string {
    try {
      const decoded = from.request.decode({ model: 'm', ...request }, {});
      return to.request.encode(decoded, { upstreamModel, quirks: {}, warn: () => undefined });
    } catch (error) {
      if (error instanceof GatewayError && error.code === 'unsupported_parameter') return error.details.param ?? '';
      throw error;
    }
  }

  describe.each(['claude-3-5-haiku-latest', 'claude-sonnet-4-5', 'claude-opus-4-8', 'claude-opus-5-5'])(
    'of Chat Completions for %s',
    (model) => {
      it.each([...requests(ofOpenAi()), ...clients])('$id: is one Anthropic takes, or is refused by name', ({ request }) => {
        const body = translate(openaiChat, anthropicMessages, request, model);
        if (typeof body === 'string') expect(body).toMatch(REFUSED);
        else expect(messagesErrors(body)).toEqual([]);
      });
    },
  );

  it.each(requests(ofAnthropic()))('$id: of the Messages API is one OpenAI takes', ({ request }) => {
    const body = translate(anthropicMessages, openaiChat, request, 'gpt-4o');
    expect(typeof body === 'string' ? [body] : chatErrors(body)).toEqual([]);
  });

  const twins = readRecordings<ParityCase>('parity').flatMap(({ id, formats }) => {
    const chat = formats['chat-completions']?.first?.request;
    const messages = formats.anthropic?.first?.request;
    return chat === undefined || messages === undefined ? [] : [{ id, chat, messages }];
  });

  it('have twins', () => {
    expect(twins.length).toBeGreaterThan(15);
  });

  it.each(twins)('$id: in Chat Completions asks what its twin asks', ({ chat, messages }) => {
    const body = translate(openaiChat, anthropicMessages, chat, messages.model as string) as JsonObject;
    expect(asked(body)).toEqual(asked(messages));
  });
});

/** n, logprobs, spoken answers and input, and files the API does not take. */
const REFUSED = /^(n|logprobs|modalities|messages\[\d+\]\.content\[\d+\])$/;

/** What breaks the rules of the Messages API, in words. */
function messagesErrors(body: JsonObject): string[] {
  const errors: string[] = [];
  const messages = body.messages as { role: string; content: Block[] }[];
  if (typeof body.max_tokens !== 'number' || body.max_tokens < 1) errors.push('max_tokens');
  if (messages.length === 0) errors.push('no messages');
  messages.forEach(({ role, content }, at) => {
    const before = messages[at - 1];
    if (role === before?.role) errors.push(`${at}: two ${role} turns`);
    if (content.length === 0) errors.push(`${at}: empty`);
    if (content.some((block) => block.type === 'text' && block.text === '')) errors.push(`${at}: empty text`);
    const called =
      before?.role === 'assistant' ? before.content.filter((block) => block.type === 'tool_use').map(({ id }) => id) : [];
    const results = content.filter((block) => block.type === 'tool_result').map((block) => block.tool_use_id);
    if (results.length !== called.length || !results.every((id) => called.includes(id as string)))
      errors.push(`${at}: results of other calls`);
    if (content.slice(0, results.length).some((block) => block.type !== 'tool_result')) errors.push(`${at}: results not first`);
    for (const { type, id, input } of content) {
      if (type === 'tool_use' && !(/^[\w-]+$/.test(id) && input instanceof Object)) errors.push(`${at}: call`);
    }
  });
  for (const tool of (body.tools ?? []) as { name?: string; input_schema?: { type: string } }[]) {
    if (!tool.name || tool.input_schema?.type !== 'object') errors.push(`tool ${tool.name}`);
  }
  const { thinking, tool_choice, temperature } = body as {
    thinking?: { budget_tokens?: number };
    tool_choice?: unknown;
    temperature?: number;
  };
  if ((thinking?.budget_tokens ?? 0) >= (body.max_tokens as number)) errors.push('budget');
  if (tool_choice !== undefined && body.tools === undefined) errors.push('tool_choice without tools');
  if (temperature !== undefined && (temperature < 0 || temperature > 1)) errors.push('temperature');
  return errors;
}

/** What breaks the rules of Chat Completions, in words. */
function chatErrors(body: JsonObject): string[] {
  const errors: string[] = [];
  const open = new Set<string>();
  const messages = body.messages as {
    role: string;
    tool_call_id?: string;
    tool_calls?: { id: string; function: { arguments: string } }[];
  }[];
  messages.forEach(({ role, tool_call_id, tool_calls }, at) => {
    if (role === 'tool') {
      if (!open.delete(tool_call_id!)) errors.push(`${at}: result of no call`);
    } else if (open.size > 0) errors.push(`${at}: calls without results`);
    for (const call of tool_calls ?? []) {
      open.add(call.id);
      JSON.parse(call.function.arguments);
    }
  });
  for (const tool of (body.tools ?? []) as { type: string; function: { name: string } }[]) {
    if (tool.type !== 'function' || tool.function.name === '') errors.push('tool');
  }
  return errors;
}

/** What a request of the Messages API asks, but for what the twins were never meant to share: wording, model, lengths, tiers, caching, ids. */
function asked(body: JsonObject): JsonObject {
  const { messages, tools, tool_choice, stop_sequences, top_p, output_config } = structuredClone(body);
  const ids = new Map<unknown, string>();
  const same = (id: unknown) => ids.get(id) ?? (ids.set(id, `call ${ids.size}`), ids.get(id)!);
  const blocks = (content: unknown, role: string): unknown[] =>
    (typeof content === 'string' ? [{ type: 'text', text: content } as Block] : (content as Block[])).map((block) => {
      if (block.type === 'tool_use') return { name: block.name, input: block.input, id: same(block.id) };
      if (block.type === 'tool_result') return { id: same(block.tool_use_id), content: blocks(block.content, 'tool') };
      return role === 'user' ? block.type : block;
    });
  for (const tool of (tools ?? []) as { input_schema: JsonObject }[]) delete tool.input_schema.additionalProperties;
  return {
    turns: (messages as { role: string; content: unknown }[]).map(({ role, content }) => ({
      role,
      content: blocks(content, role),
    })),
    tools,
    // What happens anyway need not be said.
    tool_choice: JSON.stringify(tool_choice) === '{"type":"auto"}' ? undefined : tool_choice,
    stop_sequences,
    top_p,
    output_config,
  };
}
