/** The OpenAI SDK, two majors of it and unmodified, against a running Signalbox whose upstream replays recordings. */
import { OpenAI } from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { OpenAI as OpenAI6 } from 'openai-6';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import type { JsonObject } from '../../src/dialects/dialect.ts';
import { type SharedAnswer, asChatTells, shared } from '../support/both-dialects.ts';
import { type ChosenRecordings, chooseRecordings, eventsIn, requestOf } from '../support/chosen-recordings.ts';
import { plainChatAnswer, plainChatStream } from '../support/plain-chat.ts';
import { messageOf, plainMessagesAnswer, plainMessagesStream } from '../support/plain-messages.ts';
import { type RecordedExchange, describeRecorded } from '../support/recordings.ts';
import { CLIENT_KEY, type ReplayBox, startReplayBox } from '../support/replay-box.ts';

type ChatParams = OpenAI.ChatCompletionCreateParamsNonStreaming;
type ChatStreamParams = OpenAI.ChatCompletionCreateParamsStreaming;
type ResponseParams = OpenAI.Responses.ResponseCreateParamsNonStreaming;

/** Recorded requests are what clients sent, whatever the types of today's SDK say. */
const asChat = (body: object): ChatParams => body as ChatParams;
const asChatStream = (body: object): ChatStreamParams => body as ChatStreamParams;
const asResponse = (body: object): ResponseParams => body;
const plainJson = (value: unknown): JsonObject => JSON.parse(JSON.stringify(value)) as JsonObject;
const withUsage = { stream: true, stream_options: { include_usage: true } } as const;

/** A question for another dialect's recording, with the tools that its answer calls. */
function questionFor(recording: RecordedExchange): ChatParams {
  const tools = ((recording.request.body?.['tools'] ?? []) as { name: string; input_schema?: JsonObject }[])
    .filter(({ input_schema }) => input_schema !== undefined)
    .map(({ name, input_schema: parameters }) => ({ type: 'function' as const, function: { name, parameters: parameters! } }));
  const messages = [{ role: 'user' as const, content: 'Go on.' }];
  return { model: recording.id, messages, max_completion_tokens: 2_000, ...(tools.length > 0 ? { tools } : {}) };
}

async function chunksOf(stream: AsyncIterable<unknown>): Promise<JsonObject[]> {
  const chunks: JsonObject[] = [];
  for await (const chunk of stream) chunks.push(plainJson(chunk));
  return chunks;
}

/** What the SDK's stream helper itself misreads, with Signalbox or without: content in arrays; usage that is not in the last chunk. */
const MISREAD = new Set(['mistral-reasoning-01', 'openai-quirk-usage-chunk-02']);

const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

function floatsOf(base64: string): number[] {
  const bytes = Buffer.from(base64, 'base64');
  return Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readFloatLE(at * 4));
}

const inFloat32 = (numbers: number[]): number[] => numbers.map(Math.fround);

function plainAnswerOf({ endpoint, response }: RecordedExchange) {
  return endpoint === 'openai.chat' ? plainChatAnswer(response.body!) : plainMessagesAnswer(response.body!);
}

function outputText(body: JsonObject): string {
  const items = body['output'] as { type: string; content?: { type: string; text?: string }[] }[];
  const pieces = items.flatMap(({ type, content }) => (type === 'message' ? (content ?? []) : []));
  return pieces.map(({ type, text }) => (type === 'output_text' ? text : '')).join('');
}

/** Without the members that the SDK fills in or replaces while it puts a response together. */
function pruned({ output, ...response }: JsonObject): JsonObject {
  return { ...response, output: (output as JsonObject[]).map(({ id, type }) => ({ id, type })) };
}

const toldBy = ({ response }: RecordedExchange): SharedAnswer => shared(plainChatStream(response.text ?? ''));

/** Chunks as the text that the second reading of recordings takes. */
const asText = (chunks: readonly JsonObject[]): string => chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('');

/** A recorded answer as long as one to a batch of inputs: 3 MiB. */
function largeAnswerOf(recording: RecordedExchange): RecordedExchange {
  const { data, ...answer } = recording.response.body as { data: JsonObject[] };
  const copies = Array.from({ length: 40 }, (_, index) => ({ ...data[0], index }));
  return { ...recording, id: 'large-embeddings', response: { ...recording.response, body: { ...answer, data: copies } } };
}

describeRecorded('OpenAI’s SDK', () => {
  const recordings: ChosenRecordings = chooseRecordings();
  const large = largeAnswerOf(recordings.embeddings.unary.find(({ id }) => id === 'openai-embeddings-03')!);
  let box: ReplayBox;
  beforeAll(async () => {
    box = await startReplayBox([...recordings.all, large]);
  });
  afterAll(() => box?.stop());

  describe.each([
    ['openai 7', OpenAI],
    ['openai 6', OpenAI6 as unknown as typeof OpenAI],
  ])('%s', (name, Client) => {
    const client = (): OpenAI => new Client({ apiKey: CLIENT_KEY, baseURL: box.openaiUrl, maxRetries: 0 });

    /** The same client without Signalbox. */
    const direct = ({ id }: RecordedExchange): OpenAI =>
      new Client({ apiKey: 'none', baseURL: `${box.upstream.url}/${id}/v1`, maxRetries: 0 });

    describe('chat.completions', () => {
      it.each(recordings.chat.unary)('$id: create() gives the recorded answer', async (recording) => {
        const completion = await client().chat.completions.create(asChat(requestOf(recording)));
        expect(plainJson(completion)).toEqual(recording.response.body);
        expect(completion._request_id).toMatch(/^req_/);
      });

      it.each(recordings.chat.streams)('$id: a stream gives the recorded chunks', async (recording) => {
        const body = asChatStream({ ...requestOf(recording), ...withUsage });
        const chunks = await chunksOf(await client().chat.completions.create(body));
        expect(chunks).toMatchObject(eventsIn(recording));
        expect(chunks).toEqual(await chunksOf(await direct(recording).chat.completions.create(body)));
      });

      it.each(recordings.chat.streams)(
        '$id: a stream has no chunk that only tells usage, where none was asked for',
        async (recording) => {
          const body = asChatStream(requestOf(recording, true));
          const chunks = await chunksOf(await client().chat.completions.create(body));
          expect({ ...shared(plainChatStream(asText(chunks))), usage: undefined }).toEqual({
            ...toldBy(recording),
            usage: undefined,
          });
          const unasked = box.sentFor(recording.id).body['stream_options'] === undefined;
          if (!unasked) expect(chunks.filter(({ usage, choices }) => usage && (choices as unknown[]).length === 0)).toEqual([]);
        },
      );

      it.each(recordings.chat.streams)('$id: stream().finalChatCompletion()', async (recording) => {
        const body = asChatStream({ ...requestOf(recording), ...withUsage });
        const completion = await client().chat.completions.stream(body).finalChatCompletion();
        expect(completion).toEqual(await direct(recording).chat.completions.stream(body).finalChatCompletion());
        if (MISREAD.has(recording.id)) return;
        const told = toldBy(recording);
        const read = shared(plainChatAnswer(plainJson(completion)));
        expect({ ...read, reasoning: told.reasoning }).toEqual(told);
      });

      it.each(recordings.chat.broken)('$id: the provider’s error in the stream is thrown', async (recording) => {
        const stream = await client().chat.completions.create(asChatStream(requestOf(recording, true)));
        await expect(chunksOf(stream)).rejects.toBeInstanceOf(Client.APIError);
      });
    });

    describe('chat.completions, answered by Anthropic', () => {
      it.each(recordings.messages.unary)('$id: create()', async (recording) => {
        const completion = await client().chat.completions.create(questionFor(recording));
        const body = recording.response.body!;
        expect(shared(plainChatAnswer(plainJson(completion)))).toEqual(asChatTells(plainMessagesAnswer(body)));
        expect(completion.object).toBe('chat.completion');
        expect(completion.model).toBe(body['model']);
      });

      it.each(recordings.messages.streams)('$id: a stream, reasoning and all', async (recording) => {
        const chunks = await chunksOf(await client().chat.completions.create({ ...questionFor(recording), ...withUsage }));
        expect(shared(plainChatStream(asText(chunks)))).toEqual(asChatTells(plainMessagesStream(recording.response.text!)));
      });

      it.each(recordings.messages.streams)('$id: stream().finalChatCompletion()', async (recording) => {
        const completion = await client()
          .chat.completions.stream({ ...questionFor(recording), ...withUsage })
          .finalChatCompletion();
        const told = asChatTells(plainMessagesStream(recording.response.text!));
        const read = shared(plainChatAnswer(plainJson(completion)));
        expect({ ...read, reasoning: told.reasoning }).toEqual(told);
      });

      it('reasoning arrives as reasoning_content, cache reads as cached_tokens', async () => {
        const thinking = recordings.messages.streams.find(({ id }) => id === 'anthropic-messages-thinking-stream-01')!;
        const chunks = await chunksOf(await client().chat.completions.create({ ...questionFor(thinking), ...withUsage }));
        const deltas = chunks.flatMap(({ choices }) =>
          (choices as { delta: { reasoning_content?: string } }[]).map(({ delta }) => delta),
        );
        const { content } = messageOf(thinking.response.text!);
        expect(deltas.map(({ reasoning_content }) => reasoning_content ?? '').join('')).toBe(content[0]!.thinking);

        const cached = recordings.messages.unary.find(({ id }) => id === 'anthropic-messages-cache-01')!;
        const { usage } = await client().chat.completions.create(questionFor(cached));
        const raw = (cached.response.body as { usage: Record<string, number> }).usage;
        expect(usage?.prompt_tokens_details?.cached_tokens).toBe(raw['cache_read_input_tokens']);
        expect(usage?.prompt_tokens).toBe(raw['input_tokens']! + raw['cache_read_input_tokens']!);
      });
    });

    describe('what clients send', () => {
      it('tools that Claude is to call, and their results in the next turn', async () => {
        const first = recordings.messages.unary.find(({ id }) => id === 'anthropic-messages-tools-02')!;
        const question = questionFor(first);
        const { choices } = await client().chat.completions.create({ ...question, tool_choice: 'required' });
        const { message, finish_reason } = choices[0]!;
        expect(finish_reason).toBe('tool_calls');
        const recorded = (first.response.body as { content: { type: string; id: string; name: string; input: unknown }[] })
          .content;
        const uses = recorded.filter(({ type }) => type === 'tool_use');
        const called = message.tool_calls!.flatMap((call) => (call.type === 'function' ? [call] : []));
        expect(called.map(({ function: { name, arguments: text } }) => [name, JSON.parse(text)])).toEqual(
          uses.map(({ name, input }) => [name, input]),
        );
        expect(box.sentFor(first.id).body['tool_choice']).toEqual({ type: 'any' });

        const results = called.map(({ id }) => ({ role: 'tool' as const, tool_call_id: id, content: 'done' }));
        await client().chat.completions.create({ ...question, messages: [...question.messages, message, ...results] });
        const { messages } = box.sentFor(first.id).body as { messages: { role: string; content: { type: string }[] }[] };
        expect(messages.at(-2)!.content.filter(({ type }) => type === 'tool_use')).toEqual(
          uses.map((use) => expect.objectContaining({ id: use.id, name: use.name, input: use.input })),
        );
        expect(messages.at(-1)).toMatchObject({
          role: 'user',
          content: uses.map(({ id }) => ({ type: 'tool_result', tool_use_id: id })),
        });
      });

      it('images, by URL and by data URL', async () => {
        const content = [
          { type: 'text' as const, text: 'What is this?' },
          { type: 'image_url' as const, image_url: { url: 'https://example.com/a.png' } },
          { type: 'image_url' as const, image_url: { url: `data:image/png;base64,${PIXEL}` } },
        ];
        const messages = [{ role: 'user' as const, content }];
        await client().chat.completions.create({ model: 'openai-chat-image-01', messages });
        expect(box.sentFor('openai-chat-image-01').body['messages']).toEqual(messages);
        await client().chat.completions.create({ model: 'anthropic-messages-image-01', messages });
        expect(box.sentFor('anthropic-messages-image-01').body['messages']).toEqual([
          {
            role: 'user',
            content: [
              { type: 'text', text: 'What is this?' },
              { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
              { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PIXEL } },
            ],
          },
        ]);
      });

      it('a schema, of which the SDK parses the answer', async () => {
        const person = z.object({ name: z.string(), age: z.number(), city: z.string() });
        const joke = z.object({ joke: z.string(), rating: z.number() });
        const messages = [{ role: 'user' as const, content: 'Tell me.' }];
        const parsed = async (model: string, schema: z.ZodType): Promise<unknown> => {
          const response_format = zodResponseFormat(schema, 'told');
          const completion = await client().chat.completions.parse({ model, messages, response_format });
          return completion.choices[0]!.message.parsed;
        };
        const recordedText = (id: string): string => shared(plainAnswerOf(recordings.all.find((each) => each.id === id)!)).text;
        for (const [model, schema] of [
          ['openai-chat-structured-01', person],
          ['anthropic-messages-structured-01', joke],
        ] as const) {
          expect(await parsed(model, schema)).toEqual(JSON.parse(recordedText(model)));
        }
        expect(box.sentFor('anthropic-messages-structured-01').body['output_config']).toMatchObject({
          format: { type: 'json_schema', schema: { required: ['joke', 'rating'] } },
        });
        expect(await parsed('openai-quirk-refusal-01', joke)).toBeNull();
      });
    });

    describe('responses', () => {
      it.each(recordings.responses.unary)('$id: create()', async (recording) => {
        const response = await client().responses.create(asResponse(requestOf(recording)));
        expect(plainJson(response)).toMatchObject(recording.response.body!);
        expect(response.output_text).toBe(outputText(recording.response.body!));
      });

      it.each(recordings.responses.streams)('$id: a stream gives the recorded events', async (recording) => {
        const body = asResponse({ ...requestOf(recording), stream: true });
        expect(await chunksOf((await client().responses.create(body)) as unknown as AsyncIterable<unknown>)).toEqual(
          eventsIn(recording),
        );
      });

      it.each(recordings.responses.streams)('$id: stream().finalResponse()', async (recording) => {
        const body = { ...asResponse(requestOf(recording)), stream: true as const };
        const response = await client().responses.stream(body).finalResponse();
        expect(plainJson(response)).toMatchObject(pruned(eventsIn(recording).at(-1)!['response'] as JsonObject));
      });
    });

    describe('embeddings', () => {
      it.each(recordings.embeddings.unary)('$id: create() gives numbers, as asked for and by default', async (recording) => {
        const { input } = recording.request.body as { input: string };
        const { data, usage } = recording.response.body as { data: { embedding: string | number[] }[]; usage: object };
        const recorded = data.map(({ embedding }) => (typeof embedding === 'string' ? floatsOf(embedding) : embedding));
        const answer = await client().embeddings.create({ model: recording.id, input });
        expect(box.sentFor(recording.id).body['encoding_format']).toBe('base64');
        expect(answer.data.map(({ embedding }) => Array.from(embedding))).toEqual(recorded.map(inFloat32));
        expect(answer.usage).toEqual(usage);
        const asked = await client().embeddings.create({ model: recording.id, input, encoding_format: 'float' });
        expect(asked.data.map(({ embedding }) => embedding)).toEqual(data.map(({ embedding }) => embedding));
      });
    });

    it('embeddings that are too large to hold unseen: numbers from a provider that knows no base64', async () => {
      const answer = await client().embeddings.create({ model: large.id, input: ['a'] });
      const { data } = large.response.body as { data: { embedding: number[] }[] };
      expect(answer.data.map(({ embedding }) => Array.from(embedding))).toEqual(
        data.map(({ embedding }) => inFloat32(embedding)),
      );
    });

    describe('models', () => {
      it('list() and retrieve()', async () => {
        const ids: string[] = [];
        for await (const model of client().models.list()) ids.push(model.id);
        expect(ids.toSorted()).toEqual([...recordings.all, large].map(({ id }) => id).toSorted());
        const model = await client().models.retrieve('openai-chat-01');
        expect(model).toMatchObject({ id: 'openai-chat-01', object: 'model', owned_by: expect.stringMatching(/^at-/) });
        await expect(client().models.retrieve('openai-chat-0')).rejects.toBeInstanceOf(Client.NotFoundError);
      });
    });
  });
});
