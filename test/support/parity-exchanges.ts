/** The parity cases as exchanges: every recorded stream, and the whole answer that says the same, put together from its events. */
import type { JsonObject } from '../../src/dialects/dialect.ts';
import { messageOf } from './plain-messages.ts';
import { type RecordedExchange, readRecordings } from './recordings.ts';

interface Captured {
  request: JsonObject;
  response?: JsonObject;
  response_stream?: JsonObject[];
}

interface ParityCase {
  case: string;
  formats: Record<string, Record<string, Captured>>;
}

export interface ParityPair {
  name: string;
  endpoint: 'openai.chat' | 'anthropic.messages';
  stream: RecordedExchange;
  unary: RecordedExchange;
  /** The whole answer that the provider gave to the same question another time; other words, so it stands for itself. */
  other?: RecordedExchange;
}

const FORMATS = {
  'chat-completions': { endpoint: 'openai.chat', provider: 'openai', write: writeChunks, join: completionOf },
  anthropic: { endpoint: 'anthropic.messages', provider: 'anthropic', write: writeEvents, join: messageOf },
} as const;

/** Throws where the recordings are missing: call it inside `describeRecorded`. */
export function parityPairs(): ParityPair[] {
  const pairs: ParityPair[] = [];
  for (const { case: name, formats } of readRecordings<ParityCase>('parity')) {
    for (const format of Object.keys(FORMATS) as (keyof typeof FORMATS)[]) {
      for (const [turn, captured] of Object.entries(formats[format] ?? {})) {
        pairs.push(...pairOf(`${name}-${turn}-${format}`, captured, FORMATS[format]));
      }
    }
  }
  return pairs;
}

function pairOf(name: string, captured: Captured, spoken: (typeof FORMATS)[keyof typeof FORMATS]): ParityPair[] {
  const { request, response, response_stream: events } = captured;
  if (events === undefined) return [];
  const { endpoint, provider, write, join } = spoken;
  const exchange = exchangeOf({ endpoint, provider, request });
  const text = write(events);
  const pair: ParityPair = {
    name,
    endpoint,
    stream: exchange(`${name}-stream`, { kind: 'sse', text }),
    unary: exchange(`${name}-unary`, { kind: 'json', body: join(text) }),
  };
  if (response !== undefined) pair.other = exchange(`${name}-other`, { kind: 'json', body: response });
  return [pair];
}

type Answer = Pick<RecordedExchange['response'], 'kind' | 'body' | 'text'>;

function exchangeOf({ endpoint, provider, request }: { endpoint: string; provider: string; request: JsonObject }) {
  return (id: string, answer: Answer): RecordedExchange => ({
    id,
    provider,
    endpoint,
    model: request['model'] as string,
    features: [],
    request: { method: 'POST', path: '/', url: '', headers: {}, body: request },
    response: { status: 200, headers: {}, ...answer },
  });
}

function writeChunks(chunks: readonly JsonObject[]): string {
  return `${chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('')}data: [DONE]\n\n`;
}

function writeEvents(events: readonly JsonObject[]): string {
  return events.map((event) => `event: ${event['type'] as string}\ndata: ${JSON.stringify(event)}\n\n`).join('');
}

interface Call {
  index: number;
  id?: string;
  type?: string;
  function: { name?: string; arguments?: string };
}

interface Chunk extends JsonObject {
  choices: {
    delta: { content?: string | null; refusal?: string | null; tool_calls?: Call[] };
    finish_reason: string | null;
  }[];
}

/** The completion that a stream of one choice tells, put together as OpenAI's documentation says. */
function completionOf(text: string): JsonObject {
  const lines = text.split('\n').filter((line) => line.startsWith('data: {'));
  const chunks = lines.map((line) => JSON.parse(line.slice(6)) as Chunk);
  const deltas = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta));
  const calls: Required<Call>[] = [];
  for (const { index, id = '', type = 'function', function: spec } of deltas.flatMap(({ tool_calls }) => tool_calls ?? [])) {
    calls[index] ??= { index, id, type, function: { name: spec.name ?? '', arguments: '' } };
    calls[index].function.arguments = (calls[index].function.arguments ?? '') + (spec.arguments ?? '');
  }
  const joined = (field: 'content' | 'refusal'): string | null => deltas.map((delta) => delta[field] ?? '').join('') || null;
  const { obfuscation: _padding, ...head } = chunks[0]!;
  return {
    ...head,
    object: 'chat.completion',
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: joined('content'),
          refusal: joined('refusal'),
          ...(calls.length > 0
            ? { tool_calls: calls.map(({ id, type, function: spec }) => ({ id, type, function: spec })) }
            : {}),
        },
        finish_reason: chunks.flatMap(({ choices }) => choices).findLast(({ finish_reason }) => finish_reason)?.finish_reason,
      },
    ],
    usage: chunks.findLast(({ usage }) => usage)?.['usage'],
  };
}
