/** The recordings by what a client can do with them. */
import type { JsonObject } from '../../src/dialects/dialect.ts';
import { type RecordedExchange, readRecordings } from './recordings.ts';

export interface ChosenRecordings {
  /** All that the lists below hold. */
  all: RecordedExchange[];
  chat: Chosen;
  messages: Chosen;
  responses: Chosen;
  embeddings: Chosen;
  countTokens: RecordedExchange[];
}

export interface Chosen {
  unary: RecordedExchange[];
  /** Whole streams. */
  streams: RecordedExchange[];
  /** Streams that end with the provider's own error event. */
  broken: RecordedExchange[];
  refusals: RecordedExchange[];
}

/** Throws where the recordings are missing: call it inside `describeRecorded`. */
export function chooseRecordings(): ChosenRecordings {
  const recorded = readRecordings();
  const chosen = {
    chat: choose(recorded, 'openai.chat'),
    messages: choose(recorded, 'anthropic.messages'),
    responses: choose(recorded, 'openai.responses'),
    embeddings: choose(recorded, 'openai.embeddings'),
    countTokens: recorded.filter(({ endpoint }) => endpoint === 'anthropic.count_tokens'),
  };
  const lists = [chosen.chat, chosen.messages, chosen.responses, chosen.embeddings].flatMap((each) => Object.values(each));
  return { ...chosen, all: [...lists, chosen.countTokens].flat() as RecordedExchange[] };
}

function choose(recorded: readonly RecordedExchange[], endpoint: string): Chosen {
  const mine = recorded.filter((recording) => recording.endpoint === endpoint);
  const refusals = mine.filter(({ response }) => response.status !== 200);
  const answers = mine.filter(({ response }) => response.status === 200);
  const streams = answers.filter(({ response }) => response.kind === 'sse');
  const broken = streams.filter(({ response }) => /^event: error/m.test(response.text ?? ''));
  return {
    unary: answers.filter(({ response }) => response.kind === 'json'),
    streams: streams.filter((stream) => !broken.includes(stream)),
    broken,
    refusals,
  };
}

/** The recorded request as its client sent it, but for the model, which is the recording's name here, and `stream`. */
export function requestOf({ id, request }: RecordedExchange, stream = false): JsonObject {
  const { stream: _recorded, stream_options: _options, ...body } = request.body ?? {};
  return { ...body, model: id, ...(stream ? { stream: true } : {}) };
}

/** The JSON of every event of a recorded stream, without the `[DONE]` of Chat Completions. */
export function eventsIn({ response }: RecordedExchange): JsonObject[] {
  return (response.text ?? '')
    .split(/\r?\n/)
    .filter((line) => /^data: ?\{/.test(line))
    .map((line) => JSON.parse(line.slice('data:'.length)) as JsonObject);
}
