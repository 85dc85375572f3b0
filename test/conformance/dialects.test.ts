/**
 * What every dialect owes the neutral form, over every recording it can read. A dialect is one row of SPEECHES.
 * What belongs to one dialect alone (its blocks, its errors, its relayed bytes) has a file of its own beside this one.
 */
import { describe, expect, it } from 'vitest';

import type { ChatRequest, ChatResponse, Warning } from '../../src/core/chat.ts';
import type { Quirks } from '../../src/core/quirks.ts';
import { compact } from '../../src/core/read.ts';
import type { StreamPart } from '../../src/core/parts.ts';
import type { Usage } from '../../src/core/usage.ts';
import { anthropicMessages } from '../../src/dialects/anthropic-messages/dialect.ts';
import type { Dialect, JsonObject } from '../../src/dialects/dialect.ts';
import { openaiChat } from '../../src/dialects/openai-chat/dialect.ts';
import { assemble, decodeStream, grammarErrors, partsOf, slices } from '../support/parts.ts';
import { plainChatAnswer, plainChatStream } from '../support/plain-chat.ts';
import { type PlainAnswer, comparable, plain } from '../support/plain.ts';
import { describeRecorded, readRecordings } from '../support/recordings.ts';

interface Speech {
  dialect: Dialect;
  /** Recorded exchanges in this dialect, by their endpoint. */
  endpoint: string;
  /** Its name among the formats of parity cases, and how an event of a captured stream stands on the wire. */
  parity: string;
  event: (event: JsonObject) => string;
  /** What ends a stream of this dialect. */
  terminal: string;
  /** All that a provider may understand beyond the dialect itself, so that nothing recorded is lost. */
  quirks: Quirks;
  /** A second reading, straight from the recording; a dialect without one is read so in its own file. */
  plain?: { answer: (body: JsonObject) => PlainAnswer; stream: (text: string) => PlainAnswer };
}

const SPEECHES: readonly Speech[] = [
  {
    dialect: openaiChat,
    endpoint: 'openai.chat',
    parity: 'chat-completions',
    event: (chunk) => `data: ${JSON.stringify(chunk)}\n\n`,
    terminal: 'data: [DONE]\n\n',
    quirks: { reasoningField: 'reasoning_content', thinkingSwitch: true, cacheControl: true },
    plain: { answer: plainChatAnswer, stream: plainChatStream },
  },
  {
    dialect: anthropicMessages,
    endpoint: 'anthropic.messages',
    parity: 'anthropic',
    event: (event) => `event: ${String(event.type)}\ndata: ${JSON.stringify(event)}\n\n`,
    terminal: '',
    quirks: {},
  },
];

interface Recorded {
  id: string;
  request?: JsonObject;
  answer?: JsonObject;
  stream?: string;
}

interface Captured {
  request?: JsonObject;
  response?: JsonObject;
  response_stream?: JsonObject[];
}

interface ParityCase {
  id: string;
  formats: Record<string, Record<string, Captured>>;
}

interface AnswerCase {
  id: string;
  response: { kind: string; text?: string; events?: JsonObject[] };
}

interface ClientCase {
  id: string;
  request: { path: string; body: JsonObject };
}

/** Everything recorded in the dialect: exchanges, parity cases, lone answers and the requests of command-line agents. */
function recordedIn(speech: Speech): Recorded[] {
  return [...exchanges(speech), ...parityCases(speech), ...loneAnswers(speech), ...clientRequests(speech)];
}

function exchanges({ endpoint }: Speech): Recorded[] {
  return readRecordings()
    .filter((exchange) => exchange.endpoint === endpoint && exchange.response.status === 200)
    .map(({ id, request, response }) =>
      compact({
        id,
        request: request.body ?? undefined,
        answer: response.kind === 'json' ? response.body : undefined,
        stream: response.kind === 'sse' ? response.text : undefined,
      }),
    );
}

function parityCases({ parity, event, terminal }: Speech): Recorded[] {
  return readRecordings<ParityCase>('parity').flatMap(({ id, formats }) =>
    Object.entries(formats[parity] ?? {}).map(([turn, { request, response, response_stream: events }]) => {
      const stream = events && events.map(event).join('') + terminal;
      return compact({ id: `${id} ${turn}`, request, answer: response, stream });
    }),
  );
}

/** Streams whose request nobody recorded; those of vercel/ai are lists of events without their end marker. */
function loneAnswers({ dialect, event, terminal }: Speech): Recorded[] {
  if (dialect.id !== 'openai-chat') return [];
  return readRecordings<AnswerCase>('answers').flatMap(({ id, response }) => {
    if (response.kind === 'sse') return [{ id, stream: response.text! }];
    const chunks = (response.events ?? []).filter((chunk) => chunk.object === 'chat.completion.chunk');
    return chunks.length === 0 ? [] : [{ id, stream: chunks.map(event).join('') + terminal }];
  });
}

function clientRequests({ dialect }: Speech): Recorded[] {
  return readRecordings<ClientCase>('clients')
    .filter(({ request }) => request.path.split('?')[0] === `/v1${dialect.path.replace('/v1', '')}`)
    .map(({ id, request }) => ({ id, request: request.body }));
}

const reply = { requestId: 'req_1', nowS: 1_700_000_000, includeUsage: true };

function encodeStream(dialect: Dialect, parts: readonly StreamPart[]): Buffer {
  const encoder = dialect.stream.encoder(reply, (warning) => expect.unreachable(warning.param));
  return Buffer.from(parts.map((part) => encoder.encode(part)).join(''));
}

const encodeAnswer = (dialect: Dialect, answer: ChatResponse): JsonObject =>
  JSON.parse(
    JSON.stringify(dialect.response.encode(answer, reply, (warning) => expect.unreachable(warning.param))),
  ) as JsonObject;

/** A whole stream as an answer. */
function answerOf(parts: readonly StreamPart[]): ChatResponse {
  const [start] = parts;
  const { id, model, choices, usage } = assemble(parts);
  return { id, model, choices, createdS: start?.type === 'start' ? start.createdS : 0, ...(usage !== undefined && { usage }) };
}

/** Only what the plain reading tells of usage. */
const usageLike = (usage: Usage | undefined, told: Partial<Usage> | undefined) =>
  told && usage && Object.fromEntries(Object.keys(told).map((name) => [name, usage[name as keyof Usage]]));

const agree = (read: PlainAnswer, told: PlainAnswer): void => {
  expect(comparable({ ...read, usage: usageLike(read.usage as Usage | undefined, told.usage) })).toEqual(comparable(told));
};

describeRecorded('recorded traffic', () => {
  describe.each(SPEECHES)('$dialect.id', (speech) => {
    const { dialect, plain: reading } = speech;
    const recorded = recordedIn(speech);
    const failed = (body: JsonObject) => body.error !== undefined && body.error !== null;
    const answers = recorded.flatMap(({ id, answer }) => (answer === undefined || failed(answer) ? [] : [{ id, answer }]));
    const streams = recorded.flatMap(({ id, stream }) => (stream === undefined ? [] : [{ id, stream }]));
    const whole = streams.filter(({ stream }) => !stream.includes('event: error'));
    const requests = recorded.flatMap(({ id, request }) => (request === undefined ? [] : [{ id, request }]));

    it('there is enough of it', () => {
      expect(answers.length).toBeGreaterThan(25);
      expect(streams.length).toBeGreaterThan(25);
      expect(requests.length).toBeGreaterThan(50);
    });

    if (reading !== undefined) {
      describe('a plain reading', () => {
        it.each(whole)('$id: of the stream agrees', ({ stream }) => {
          agree(plain(assemble(decodeStream(dialect, [Buffer.from(stream)]))), reading.stream(stream));
        });

        it.each(answers)('$id: of the answer agrees', ({ answer }) => {
          agree(plain(dialect.response.decode(answer)), reading.answer(answer));
        });

        it.each(answers)('$id: of what a client is told agrees', ({ answer }) => {
          const told = reading.answer(answer);
          const encoded = reading.answer(encodeAnswer(dialect, dialect.response.decode(answer)));
          // A client is always given an id, and never a finish of `unknown`.
          const choices = encoded.choices.map((choice, at) =>
            told.choices[at]?.finish === 'unknown' ? { ...choice, finish: 'unknown' } : choice,
          );
          agree({ ...encoded, id: told.id && encoded.id, choices }, told);
        });
      });
    }

    describe('streams', () => {
      it.each(streams)('$id: obeys the grammar of parts', ({ stream }) => {
        const parts = decodeStream(dialect, [Buffer.from(stream)]);
        expect(grammarErrors(parts)).toEqual([]);
        expect(parts.at(-1)?.type).toBe(stream.includes('event: error') ? 'error' : 'end');
      });

      it.each(whole)('$id: sliced anyhow, it means the same', ({ stream }) => {
        const bytes = Buffer.from(stream);
        const parts = decodeStream(dialect, [bytes]);
        for (const size of [1, 7, 1021]) expect(decodeStream(dialect, slices(bytes, size))).toEqual(parts);
      });

      it.each(whole)('$id: encoded and decoded again, it is the same answer', ({ stream }) => {
        const parts = decodeStream(dialect, [Buffer.from(stream)]);
        const again = decodeStream(dialect, [encodeStream(dialect, parts)]);
        expect(grammarErrors(again)).toEqual([]);
        const before = assemble(parts);
        const after = assemble(again);
        expect({ ...after, choices: meant(after.choices) }).toEqual({ ...before, choices: meant(before.choices) });
      });

      it.each(whole)('$id: is the same answer as the whole one', ({ stream }) => {
        const answer = answerOf(decodeStream(dialect, [Buffer.from(stream)]));
        const unary = dialect.response.decode(encodeAnswer(dialect, answer));
        const streamed = assemble(decodeStream(dialect, [encodeStream(dialect, partsOf(answer))]));
        expect(meant(streamed.choices)).toEqual(meant(unary.choices));
        expect(streamed).toMatchObject({ id: unary.id, model: unary.model, usage: unary.usage, ended: true });
      });
    });

    describe('whole answers', () => {
      it.each(answers)('$id: streamed, it is the same answer', ({ answer }) => {
        const decoded = dialect.response.decode(answer);
        const unary = dialect.response.decode(encodeAnswer(dialect, decoded));
        const parts = decodeStream(dialect, [encodeStream(dialect, partsOf(decoded))]);
        expect(grammarErrors(parts)).toEqual([]);
        const streamed = assemble(parts);
        expect(meant(streamed.choices)).toEqual(meant(unary.choices));
        expect(streamed).toMatchObject({ id: unary.id, model: unary.model, usage: unary.usage, ended: true });
      });

      it.each(answers)('$id: the summary of a relay says the same', ({ answer }) => {
        const decoded = dialect.response.decode(answer);
        const { usage, model } = dialect.usage.summarize(answer);
        expect({ usage, model }).toEqual({ usage: decoded.usage, model: decoded.model });
      });
    });

    describe('requests', () => {
      it.each(requests)('$id: decoded, encoded and decoded again, it asks the same', ({ request }) => {
        const warnings: Warning[] = [];
        const once = dialect.request.decode({ model: 'm', ...request }, {});
        const encoded = dialect.request.encode(once, {
          upstreamModel: once.model,
          quirks: speech.quirks,
          warn: (warning) => warnings.push(warning),
        });
        const again = dialect.request.decode(JSON.parse(JSON.stringify(encoded)) as JsonObject, {});
        expect(asked(again, [])).toEqual(asked(once, warnings));
      });
    });
  });
});

/** Arguments as values: clients must be able to parse them, so that none at all are told as `{}`, and one dialect has them as objects. */
function meant(choices: ChatResponse['choices']): unknown {
  return choices.map((choice) => ({
    ...choice,
    content: choice.content.map((part) =>
      part.type === 'tool_call' ? { ...part, arguments: JSON.parse(part.arguments || '{}') as unknown } : part,
    ),
  }));
}

/** A request but for what a warning names, the usage that a provider is always asked for, and a choice among no tools. */
function asked({ toolChoice, ...request }: ChatRequest, warnings: readonly Warning[]): ChatRequest {
  const left = new Set(warnings.map((warning) => warning.param));
  return {
    ...request,
    ...(toolChoice !== undefined && request.tools.length > 0 && { toolChoice }),
    includeUsage: request.stream || request.includeUsage,
    extra: Object.fromEntries(Object.entries(request.extra).filter(([name]) => !left.has(name))),
  };
}
