/** The same answer streamed and whole, from either dialect's provider to either dialect's SDK: no client may tell them apart. */
import { Anthropic } from '@anthropic-ai/sdk';
import { Anthropic as Anthropic0 } from 'anthropic-sdk-0';
import { OpenAI } from 'openai';
import { OpenAI as OpenAI6 } from 'openai-6';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { JsonObject } from '../../src/dialects/dialect.ts';
import { type SharedAnswer, asChatTells, asMessagesTell, shared } from '../support/both-dialects.ts';
import { type ParityPair, parityPairs } from '../support/parity-exchanges.ts';
import { plainChatAnswer } from '../support/plain-chat.ts';
import { plainMessagesAnswer } from '../support/plain-messages.ts';
import { type RecordedExchange, describeRecorded } from '../support/recordings.ts';
import { CLIENT_KEY, type ReplayBox, startReplayBox } from '../support/replay-box.ts';

const plainJson = (value: unknown): JsonObject => JSON.parse(JSON.stringify(value)) as JsonObject;

/** What the recording itself says, as a client of Chat Completions is to be told. */
function toldInChat({ endpoint, response }: RecordedExchange): SharedAnswer {
  return endpoint === 'openai.chat' ? shared(plainChatAnswer(response.body!)) : asChatTells(plainMessagesAnswer(response.body!));
}

/** The same for a client of Messages. */
function toldInMessages({ endpoint, response }: RecordedExchange): SharedAnswer {
  return endpoint === 'openai.chat'
    ? asMessagesTell(plainChatAnswer(response.body!))
    : shared(plainMessagesAnswer(response.body!));
}

interface ToolSpec {
  name?: string;
  input_schema?: JsonObject;
  function?: { name: string; parameters?: JsonObject };
}

/** The recorded request's function tools, by name and schema. */
function toolsOf({ request }: RecordedExchange): { name: string; schema: JsonObject }[] {
  return ((request.body?.['tools'] ?? []) as ToolSpec[]).flatMap(({ name, input_schema, function: spec }) => {
    const tool = spec ?? { name: name ?? '', parameters: input_schema ?? {} };
    return [{ name: tool.name, schema: { type: 'object', ...tool.parameters } }];
  });
}

describeRecorded('parity', () => {
  const pairs: ParityPair[] = parityPairs();
  const others = pairs.flatMap(({ name, other }) => (other === undefined ? [] : [{ name, other }]));
  let box: ReplayBox;
  beforeAll(async () => {
    box = await startReplayBox(pairs.flatMap(({ stream, unary, other }) => [stream, unary, ...(other ? [other] : [])]));
  });
  afterAll(() => box?.stop());

  it('covers both dialects', () => {
    const streams = (endpoint: string): number => pairs.filter((pair) => pair.endpoint === endpoint).length;
    expect(streams('openai.chat')).toBeGreaterThanOrEqual(15);
    expect(streams('anthropic.messages')).toBeGreaterThanOrEqual(15);
  });

  describe.each([
    ['openai 7', OpenAI],
    ['openai 6', OpenAI6 as unknown as typeof OpenAI],
  ])('%s', (_name, Client) => {
    const completions = () => new Client({ apiKey: CLIENT_KEY, baseURL: box.openaiUrl, maxRetries: 0 }).chat.completions;
    const question = (recording: RecordedExchange) => {
      const tools = toolsOf(recording).map(({ name, schema: parameters }) => ({
        type: 'function' as const,
        function: { name, parameters },
      }));
      return {
        model: recording.id,
        messages: [{ role: 'user' as const, content: 'Go on.' }],
        ...(tools.length > 0 ? { tools } : {}),
      };
    };

    it.each(pairs)('$name: streamed as whole', async ({ stream, unary }) => {
      const whole = await completions().create(question(unary));
      const options = { stream_options: { include_usage: true } };
      const streamed = await completions()
        .stream({ ...question(stream), ...options })
        .finalChatCompletion();
      const told = toldInChat(unary);
      expect(shared(plainChatAnswer(plainJson(whole)))).toEqual(told);
      // The stream helper keeps only what the SDK's types know of a message: no reasoning.
      expect({ ...shared(plainChatAnswer(plainJson(streamed))), reasoning: told.reasoning }).toEqual(told);
      expect(streamed.usage).toEqual(whole.usage);
      expect([streamed.id, streamed.model, streamed.created > 0]).toEqual([whole.id, whole.model, true]);
    });

    it.each(others)('$name: the other answer', async ({ other }) => {
      const completion = await completions().create(question(other));
      expect(shared(plainChatAnswer(plainJson(completion)))).toEqual(toldInChat(other));
    });
  });

  describe.each([
    ['@anthropic-ai/sdk 1', Anthropic],
    ['@anthropic-ai/sdk 0.137', Anthropic0 as unknown as typeof Anthropic],
  ])('%s', (_name, Client) => {
    const messages = (): Anthropic.Messages => new Client({ apiKey: CLIENT_KEY, baseURL: box.url, maxRetries: 0 }).messages;
    const question = (recording: RecordedExchange): Anthropic.MessageCreateParamsNonStreaming => {
      const tools = toolsOf(recording).map(({ name, schema }) => ({
        name,
        input_schema: { ...schema, type: 'object' as const },
      }));
      const turns = [{ role: 'user' as const, content: 'Go on.' }];
      return { model: recording.id, max_tokens: 4_000, messages: turns, ...(tools.length > 0 ? { tools } : {}) };
    };

    it.each(pairs)('$name: streamed as whole', async ({ stream, unary }) => {
      const whole = plainJson(await messages().create(question(unary)));
      const streamed = plainJson(await messages().stream(question(stream)).finalMessage());
      const told = toldInMessages(unary);
      expect(shared(plainMessagesAnswer(whole))).toEqual(told);
      expect(shared(plainMessagesAnswer(streamed))).toEqual(told);
      for (const member of ['content', 'stop_reason', 'stop_sequence', 'model', 'id', 'role', 'type'] as const) {
        expect(streamed[member]).toEqual(whole[member]);
      }
    });

    it.each(others)('$name: the other answer', async ({ other }) => {
      const message = await messages().create(question(other));
      expect(shared(plainMessagesAnswer(plainJson(message)))).toEqual(toldInMessages(other));
    });
  });
});
