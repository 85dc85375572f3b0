/** Anthropic's SDK, two majors of it and unmodified, against a running Signalbox whose upstream replays recordings. */
import { Anthropic } from '@anthropic-ai/sdk';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { Anthropic as Anthropic0 } from 'anthropic-sdk-0';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import type { JsonObject } from '../../src/dialects/dialect.ts';
import { asMessagesTell, shared } from '../support/both-dialects.ts';
import { type ChosenRecordings, chooseRecordings, eventsIn, requestOf } from '../support/chosen-recordings.ts';
import { plainChatAnswer, plainChatStream } from '../support/plain-chat.ts';
import { messageOf, plainMessagesAnswer } from '../support/plain-messages.ts';
import { type RecordedExchange, describeRecorded } from '../support/recordings.ts';
import { CLIENT_KEY, type ReplayBox, startReplayBox } from '../support/replay-box.ts';

type Params = Anthropic.MessageCreateParamsNonStreaming;

/** Recorded requests are what clients sent, whatever the types of today's SDK say. */
const asMessage = (body: object): Params => body as Params;
const plainJson = (value: unknown): JsonObject => JSON.parse(JSON.stringify(value)) as JsonObject;
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

/** A question for another dialect's recording, with the tools that its answer calls. */
function questionFor({ id, request }: RecordedExchange): Params {
  const recorded = (request.body?.['tools'] ?? []) as { function?: { name: string; parameters?: JsonObject } }[];
  const tools = recorded.flatMap(({ function: spec }) =>
    spec === undefined ? [] : [{ name: spec.name, input_schema: { type: 'object' as const, ...spec.parameters } }],
  );
  const messages = [{ role: 'user' as const, content: 'Go on.' }];
  return { model: id, max_tokens: 2_000, messages, ...(tools.length > 0 ? { tools } : {}) };
}

async function eventsOf(stream: AsyncIterable<unknown>): Promise<JsonObject[]> {
  const events: JsonObject[] = [];
  for await (const event of stream) events.push(plainJson(event));
  return events;
}

const find = (list: readonly RecordedExchange[], id: string): RecordedExchange => list.find((each) => each.id === id)!;

describeRecorded('Anthropic’s SDK', () => {
  const recordings: ChosenRecordings = chooseRecordings();
  let box: ReplayBox;
  beforeAll(async () => {
    box = await startReplayBox(recordings.all);
  });
  afterAll(() => box?.stop());

  describe.each([
    ['@anthropic-ai/sdk 1', Anthropic, '2026-10-21'],
    ['@anthropic-ai/sdk 0.137', Anthropic0 as unknown as typeof Anthropic, '2023-06-01'],
  ])('%s', (_name, Client, version) => {
    const client = (): Anthropic => new Client({ apiKey: CLIENT_KEY, baseURL: box.url, maxRetries: 0 });

    describe('messages', () => {
      it.each(recordings.messages.unary)('$id: create() gives the recorded answer', async (recording) => {
        const message = await client().messages.create(asMessage(requestOf(recording)));
        expect(plainJson(message)).toEqual(recording.response.body);
        expect(message._request_id).toEqual(recording.response.headers['request-id'] ?? expect.stringMatching(/^req_/));
        expect(box.sentFor(recording.id).headers['anthropic-version']).toBe(version);
      });

      it.each(recordings.messages.streams)('$id: a stream gives the recorded events', async (recording) => {
        const stream = await client().messages.create({ ...asMessage(requestOf(recording)), stream: true });
        // The SDK keeps pings to itself.
        expect(await eventsOf(stream)).toEqual(eventsIn(recording).filter(({ type }) => type !== 'ping'));
      });

      it.each(recordings.messages.streams)('$id: stream().finalMessage()', async (recording) => {
        const message = await client()
          .messages.stream(asMessage(requestOf(recording)))
          .finalMessage();
        expect(plainJson(message)).toMatchObject(plainJson(messageOf(recording.response.text!)));
      });
    });

    describe('messages, answered by OpenAI and its kin', () => {
      const answered = recordings.chat.unary.filter(({ response }) => response.body?.['error'] === undefined);

      it.each(answered)('$id: create()', async (recording) => {
        const message = await client().messages.create(questionFor(recording));
        const body = recording.response.body!;
        expect(shared(plainMessagesAnswer(plainJson(message)))).toEqual(asMessagesTell(plainChatAnswer(body)));
        expect(message).toMatchObject({ type: 'message', role: 'assistant', model: body['model'] });
        expect(message._request_id).toMatch(/^req_/);
      });

      it.each(recordings.chat.streams)('$id: stream().finalMessage()', async (recording) => {
        const message = await client().messages.stream(questionFor(recording)).finalMessage();
        const told = asMessagesTell(plainChatStream(recording.response.text!));
        expect(shared(plainMessagesAnswer(plainJson(message)))).toEqual(told);
      });

      it.each(recordings.chat.broken)('$id: the provider’s error in the stream is thrown', async (recording) => {
        const stream = client().messages.stream(questionFor(recording));
        await expect(stream.finalMessage()).rejects.toBeInstanceOf(Client.APIError);
      });
    });

    it('an error that came with status 200 is thrown as what it is, in the provider’s words', async () => {
      const filtered = find(recordings.chat.unary, 'azure-quirk-filtered-01');
      const { message } = (filtered.response.body as { error: { message: string } }).error;
      const failure = await client()
        .messages.create(questionFor(filtered))
        .catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(Client.BadRequestError);
      expect(failure).toMatchObject({ status: 400, error: { error: { type: 'invalid_request_error', message } } });
    });

    describe('what clients send', () => {
      it('tools that GPT is to call, and their results in the next turn', async () => {
        const first = find(recordings.chat.unary, 'openai-quirk-parallel-tools-01');
        const question = { ...questionFor(first), tool_choice: { type: 'any' as const } };
        const { content, stop_reason } = await client().messages.create(question);
        expect(stop_reason).toBe('tool_use');
        const uses = content.flatMap((block) => (block.type === 'tool_use' ? [block] : []));
        const recorded = shared(plainChatAnswer(first.response.body!)).calls;
        expect(uses.map(({ id, name, input }) => ({ id, name, arguments: input }))).toEqual(recorded);
        expect(box.sentFor(first.id).body).toMatchObject({ tool_choice: 'required' });

        const results = uses.map(({ id }) => ({ type: 'tool_result' as const, tool_use_id: id, content: 'done' }));
        const messages = [
          ...question.messages,
          { role: 'assistant' as const, content },
          { role: 'user' as const, content: results },
        ];
        await client().messages.create({ ...question, messages });
        const sent = box.sentFor(first.id).body['messages'] as JsonObject[];
        expect(sent.slice(1)).toMatchObject([
          { role: 'assistant', tool_calls: uses.map(({ id, name }) => ({ id, type: 'function', function: { name } })) },
          ...uses.map(({ id }) => ({ role: 'tool', tool_call_id: id, content: 'done' })),
        ]);
      });

      it('images, by URL and in base64', async () => {
        const content = [
          { type: 'text' as const, text: 'What is this?' },
          { type: 'image' as const, source: { type: 'url' as const, url: 'https://example.com/a.png' } },
          { type: 'image' as const, source: { type: 'base64' as const, media_type: 'image/png' as const, data: PIXEL } },
        ];
        const messages = [{ role: 'user' as const, content }];
        await client().messages.create({ model: 'anthropic-messages-image-01', max_tokens: 9, messages });
        expect(box.sentFor('anthropic-messages-image-01').body['messages']).toEqual(messages);
        await client().messages.create({ model: 'openai-chat-image-01', max_tokens: 9, messages });
        expect(box.sentFor('openai-chat-image-01').body['messages']).toEqual([
          {
            role: 'user',
            content: [
              { type: 'text', text: 'What is this?' },
              { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
              { type: 'image_url', image_url: { url: `data:image/png;base64,${PIXEL}` } },
            ],
          },
        ]);
      });

      it('a schema, of which the SDK parses the answer', async () => {
        const person = z.object({ name: z.string(), age: z.number(), city: z.string() });
        const joke = z.object({ joke: z.string(), rating: z.number() });
        const parsed = async (model: string, schema: z.ZodType): Promise<unknown> => {
          const output_config = { format: zodOutputFormat(schema) };
          const messages = [{ role: 'user' as const, content: 'Tell me.' }];
          const message = await client().messages.parse({ model, max_tokens: 99, messages, output_config });
          return message.parsed_output;
        };
        const chat = find(recordings.chat.unary, 'openai-chat-structured-01');
        expect(await parsed(chat.id, person)).toEqual(JSON.parse(shared(plainChatAnswer(chat.response.body!)).text));
        expect(box.sentFor(chat.id).body['response_format']).toMatchObject({
          type: 'json_schema',
          json_schema: { schema: { required: ['name', 'age', 'city'] } },
        });
        const own = find(recordings.messages.unary, 'anthropic-messages-structured-01');
        expect(await parsed(own.id, joke)).toEqual(JSON.parse(shared(plainMessagesAnswer(own.response.body!)).text));
      });
    });

    describe('countTokens', () => {
      it('asks a provider that counts', async () => {
        const [recording] = recordings.countTokens as [RecordedExchange];
        const { messages } = recording.request.body as unknown as Params;
        const counted = await client().messages.countTokens({ model: recording.id, messages });
        expect(counted).toEqual(recording.response.body);
      });

      it('estimates where none does, and says so', async () => {
        const messages = [{ role: 'user' as const, content: 'What is the capital of France?' }];
        const before = box.countFor('openai-chat-01');
        const asked = client().messages.countTokens({ model: 'openai-chat-01', messages });
        const { data, response } = await asked.withResponse();
        expect(data.input_tokens).toBeGreaterThan(3);
        expect(data.input_tokens).toBeLessThan(40);
        expect(response.headers.get('x-signalbox-warnings')).toContain('estimated');
        expect(box.countFor('openai-chat-01')).toBe(before);
      });
    });

    it('models.list() pages, and models.retrieve()', async () => {
      const ids: string[] = [];
      for await (const model of client().models.list({ limit: 7 })) ids.push(model.id);
      expect(ids.toSorted()).toEqual(recordings.all.map(({ id }) => id).toSorted());
      const model = await client().models.retrieve('anthropic-messages-01');
      expect(model).toMatchObject({ id: 'anthropic-messages-01', type: 'model' });
      expect((model as { _request_id?: string })._request_id).toMatch(/^req_/);
      const missing = await client()
        .models.retrieve('anthropic-messages-0')
        .catch((error: unknown) => error);
      expect(missing).toBeInstanceOf(Client.NotFoundError);
      expect(missing).toMatchObject({ error: { error: { type: 'not_found_error' } }, requestID: expect.stringMatching(/^req_/) });
    });
  });
});
