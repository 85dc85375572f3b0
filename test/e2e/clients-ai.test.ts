/** The AI SDK with three of its providers, unmodified, against a running Signalbox whose upstream replays recordings. */
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { type LanguageModel, Output, type ToolSet, embedMany, generateText, jsonSchema, streamText, tool } from 'ai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import type { JsonObject } from '../../src/dialects/dialect.ts';
import { type SharedAnswer, asChatTells, asMessagesTell, shared } from '../support/both-dialects.ts';
import { type ChosenRecordings, chooseRecordings, eventsIn } from '../support/chosen-recordings.ts';
import { plainChatAnswer, plainChatStream } from '../support/plain-chat.ts';
import { plainMessagesAnswer, plainMessagesStream } from '../support/plain-messages.ts';
import type { PlainAnswer } from '../support/plain.ts';
import { type RecordedExchange, describeRecorded } from '../support/recordings.ts';
import { CLIENT_KEY, type ReplayBox, startReplayBox } from '../support/replay-box.ts';

// The SDK warns of models whose limits it does not know; these are ours.
globalThis.AI_SDK_LOG_WARNINGS = false;

/** What an application reads of an answer. */
interface Told {
  text: string;
  reasoning: string;
  calls: { id: string; name: string; arguments: unknown }[];
  finish: string;
  usage: { input: number | undefined; output: number | undefined; cached: number; reasoning: number };
}

type Answer = Pick<
  Awaited<ReturnType<typeof generateText<ToolSet>>>,
  'text' | 'reasoningText' | 'toolCalls' | 'finishReason' | 'usage'
>;

function tell({ text, reasoningText, toolCalls, finishReason, usage }: Answer): Told {
  return {
    text,
    reasoning: reasoningText ?? '',
    calls: toolCalls.map(({ toolCallId: id, toolName: name, input }) => ({ id, name, arguments: input as unknown })),
    finish: finishReason,
    usage: {
      input: usage.inputTokens,
      output: usage.outputTokens,
      cached: usage.inputTokenDetails.cacheReadTokens ?? 0,
      reasoning: usage.outputTokenDetails.reasoningTokens ?? 0,
    },
  };
}

const FINISH: Record<string, string> = {
  tool_calls: 'tool-calls',
  stop_sequence: 'stop',
  refusal: 'content-filter',
  unknown: 'other',
};

function expected({ usage, ...told }: SharedAnswer): Told {
  const counts = usage ?? { input: undefined, output: undefined, cached: 0, reasoning: 0 };
  return { ...told, finish: FINISH[told.finish] ?? told.finish, usage: counts };
}

function plainOf({ endpoint, response }: RecordedExchange): PlainAnswer {
  const { body, text } = response;
  if (endpoint === 'openai.chat') return body === undefined ? plainChatStream(text!) : plainChatAnswer(body);
  return body === undefined ? plainMessagesStream(text!) : plainMessagesAnswer(body);
}

const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

interface Item {
  type: string;
  name: string;
  content?: { text?: string }[];
}

interface ResponsesUsage {
  input_tokens: number;
  output_tokens: number;
  input_tokens_details: { cached_tokens: number };
  output_tokens_details: { reasoning_tokens: number };
}

/** What the AI SDK itself reads otherwise, with Signalbox or without, and why. */
const READ_ITS_OWN_WAY = new Set([
  // It gives the transcript of a spoken answer, and calls a refusal a filter's.
  'openai-chat-audio-01',
  'openai-quirk-refusal-01',
  // It mixes the choices.
  'openai-quirk-n-choices-01',
  // It does not look for usage in `x_groq`, and takes xAI's completion tokens without the reasoning that only the total holds.
  'groq-stream-01',
  'xai-reasoning-01',
  'xai-tools-01',
  'xai-stream-01',
  'xai-quirk-usage-chunk-01',
  // Content in arrays, an error in a 200.
  'mistral-reasoning-01',
  'mistral-tools-01',
  'azure-quirk-filtered-01',
  // It counts the provider's own tools among the calls.
  'anthropic-messages-servertool-01',
  'anthropic-messages-thinking-stream-02',
]);

/** Tools of the names that the answer calls. */
function toolsFor(names: string[]): ToolSet {
  return Object.fromEntries(names.map((name) => [name, tool({ inputSchema: jsonSchema({ type: 'object' }) })]));
}

interface Question {
  model: LanguageModel;
  prompt: string;
  tools: ToolSet;
  maxRetries: number;
}

async function ask(question: Question): Promise<Told> {
  return tell(await generateText(question));
}

async function askStreaming(question: Question): Promise<Told> {
  const { text, reasoningText, toolCalls, finishReason, usage } = streamText({ ...question, onError: () => undefined });
  return tell({
    text: await text,
    reasoningText: await reasoningText,
    toolCalls: await toolCalls,
    finishReason: await finishReason,
    usage: await usage,
  });
}

describeRecorded('the AI SDK', () => {
  const recordings: ChosenRecordings = chooseRecordings();
  let box: ReplayBox;
  beforeAll(async () => {
    box = await startReplayBox(recordings.all);
  });
  afterAll(() => box?.stop());

  /** Where a client asks: Signalbox, or the recording itself. */
  interface Front {
    apiKey: string;
    baseURL: string;
  }
  const viaSignalbox = (): Front => ({ apiKey: CLIENT_KEY, baseURL: box.openaiUrl });
  const direct = ({ id }: RecordedExchange): Front => ({ apiKey: 'none', baseURL: `${box.upstream.url}/${id}/v1` });

  const CLIENTS = {
    openaiChat: (id: string, front = viaSignalbox()) => createOpenAI(front).chat(id),
    openaiResponses: (id: string, front = viaSignalbox()) => createOpenAI(front)(id),
    compatible: (id: string, front = viaSignalbox()) =>
      createOpenAICompatible({ ...front, name: 'signalbox', includeUsage: true })(id),
    anthropic: (id: string, front = viaSignalbox()) => createAnthropic(front)(id),
  };
  type Client = (id: string, front?: Front) => LanguageModel;

  const questionFor = (model: LanguageModel, calls: { name: string }[]): Question => {
    return { model, prompt: 'Go on.', tools: toolsFor(calls.map(({ name }) => name)), maxRetries: 0 };
  };
  const callsIn = (recording: RecordedExchange): { name: string }[] => plainOf(recording).choices.flatMap(({ calls }) => calls);
  const askBy = (recording: RecordedExchange) => (recording.response.kind === 'sse' ? askStreaming : ask);

  /** Asked through Signalbox, and without it. */
  async function both(
    client: Client,
    recording: RecordedExchange,
    calls: { name: string }[],
  ): Promise<[Told | string, Told | string]> {
    const tellingErrors = async (front: Front): Promise<Told | string> => {
      const question = questionFor(client(recording.id, front), calls);
      return askBy(recording)(question).catch((error: Error) => error.message);
    };
    return [await tellingErrors(viaSignalbox()), await tellingErrors(direct(recording))];
  }

  /** `@ai-sdk/openai` does not look for reasoning in chat completions. */
  const CHAT_CLIENTS = [
    ['@ai-sdk/openai, .chat', CLIENTS.openaiChat, { reasoning: '' }],
    ['@ai-sdk/openai-compatible', CLIENTS.compatible, {}],
  ] as const;

  describe.each(CHAT_CLIENTS)('%s', (_name, client, unread) => {
    it.each([...recordings.chat.unary, ...recordings.chat.streams])('$id: as without Signalbox', async (recording) => {
      const [told, toldDirectly] = await both(client, recording, callsIn(recording));
      expect(told).toEqual(toldDirectly);
      if (!READ_ITS_OWN_WAY.has(recording.id)) expect(told).toEqual({ ...expected(shared(plainOf(recording))), ...unread });
    });
    it.each([...recordings.messages.unary, ...recordings.messages.streams])('$id: answered by Anthropic', async (recording) => {
      const told = await askBy(recording)(questionFor(client(recording.id), callsIn(recording)));
      expect(told).toEqual({ ...expected(asChatTells(plainOf(recording))), ...unread });
    });
  });

  describe('@ai-sdk/anthropic', () => {
    it.each([...recordings.messages.unary, ...recordings.messages.streams])('$id: as without Signalbox', async (recording) => {
      const [told, toldDirectly] = await both(CLIENTS.anthropic, recording, callsIn(recording));
      expect(told).toEqual(toldDirectly);
      if (!READ_ITS_OWN_WAY.has(recording.id)) expect(told).toEqual(expected(shared(plainOf(recording))));
    });
    const answered = recordings.chat.unary.filter(({ response }) => response.body?.['error'] === undefined);
    it.each([...answered, ...recordings.chat.streams])('$id: answered by OpenAI and its kin', async (recording) => {
      const told = await askBy(recording)(questionFor(CLIENTS.anthropic(recording.id), callsIn(recording)));
      expect(told).toEqual(expected(asMessagesTell(plainOf(recording))));
    });
  });

  describe('@ai-sdk/openai, as it comes: Responses', () => {
    it.each([...recordings.responses.unary, ...recordings.responses.streams])('$id: as without Signalbox', async (recording) => {
      const response = recording.response.body ?? (eventsIn(recording).at(-1)!['response'] as JsonObject);
      const items = response['output'] as Item[];
      const calls = items.filter(({ type }) => type === 'function_call');
      const [told, toldDirectly] = await both(CLIENTS.openaiResponses, recording, calls);
      expect(told).toEqual(toldDirectly);
      const usage = response['usage'] as ResponsesUsage;
      expect(told).toMatchObject({
        text: items
          .flatMap(({ content }) => content ?? [])
          .map(({ text }) => text ?? '')
          .join(''),
        usage: {
          input: usage.input_tokens,
          output: usage.output_tokens,
          cached: usage.input_tokens_details.cached_tokens,
          reasoning: usage.output_tokens_details.reasoning_tokens,
        },
      });
    });
  });

  describe('what clients send', () => {
    it.each([
      ['@ai-sdk/openai, .chat', CLIENTS.openaiChat],
      ['@ai-sdk/openai-compatible', CLIENTS.compatible],
      ['@ai-sdk/anthropic', CLIENTS.anthropic],
    ] as const)('%s: images reach either dialect', async (_name, client) => {
      const content = [
        { type: 'text' as const, text: 'What is this?' },
        { type: 'file' as const, mediaType: 'image/png', data: PIXEL },
      ];
      for (const id of ['openai-chat-image-01', 'anthropic-messages-image-01']) {
        await generateText({ model: client(id), messages: [{ role: 'user', content }], maxRetries: 0 });
      }
      const sent = (id: string): unknown => (box.sentFor(id).body['messages'] as { content: unknown[] }[])[0]!.content[1];
      expect(sent('openai-chat-image-01')).toMatchObject({
        type: 'image_url',
        image_url: { url: `data:image/png;base64,${PIXEL}` },
      });
      expect(sent('anthropic-messages-image-01')).toMatchObject({
        type: 'image',
        source: { type: 'base64', media_type: 'image/png', data: PIXEL },
      });
    });

    it.each([
      ['@ai-sdk/openai, .chat', CLIENTS.openaiChat],
      ['@ai-sdk/anthropic', CLIENTS.anthropic],
    ] as const)('%s: a schema, of which the answer is an object', async (_name, client) => {
      for (const [id, schema] of [
        ['openai-chat-structured-01', z.object({ name: z.string(), age: z.number(), city: z.string() })],
        ['anthropic-messages-structured-01', z.object({ joke: z.string(), rating: z.number() })],
      ] as const) {
        const recording = recordings.all.find((each) => each.id === id)!;
        const output = Output.object({ schema: schema as z.ZodType<object> });
        const answer = await generateText({ model: client(id), prompt: 'Tell me.', output, maxRetries: 0 });
        expect(answer.output).toEqual(JSON.parse(shared(plainOf(recording)).text));
      }
    });

    it('texts to embed', async () => {
      const [recording] = recordings.embeddings.unary as [RecordedExchange];
      const model = createOpenAI(viaSignalbox()).embedding(recording.id);
      const { embeddings, usage } = await embedMany({ model, values: ['a'], maxRetries: 0 });
      const body = recording.response.body as { data: { embedding: number[] }[]; usage: { prompt_tokens: number } };
      expect(embeddings).toEqual([body.data[0]!.embedding]);
      expect(usage.tokens).toBe(body.usage.prompt_tokens);
    });
  });
});
