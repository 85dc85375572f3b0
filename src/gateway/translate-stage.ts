import type { FinishReason } from '../core/chat.ts';
import { GatewayError } from '../core/errors.ts';
import type { StreamPart, UpstreamFailure } from '../core/parts.ts';
import type { Usage } from '../core/usage.ts';
import type { Dialect, ReplyContext } from '../dialects/dialect.ts';
import { createSseParser, SseEventTooLargeError } from '../lib/sse-parser.ts';
import type { StreamStage } from '../upstream/types.ts';
import type { Joined } from './continuation.ts';
import type { Exchange } from './exchange.ts';

/** What a translated stream told of itself, beside what the client got. */
export interface TranslateNotes {
  usage?: Usage;
  finish?: FinishReason;
  model?: string;
  failure?: UpstreamFailure;
}

export interface TranslateStage extends StreamStage {
  readonly notes: TranslateNotes;
}

/** No provider's event is a tenth of that; a longer one is garbage or an attack on memory. */
const MAX_EVENT_BYTES = 8 * 1024 * 1024;

/** An empty block has none yet; a tool call is there with its name. */
const CONTENT: ReadonlySet<StreamPart['type']> = new Set([
  'text_delta',
  'reasoning_delta',
  'reasoning_signature',
  'tool_call_start',
  'refusal_delta',
  'native',
]);

export interface Translation {
  /** The provider's dialect and the client's. */
  from: Dialect;
  to: Dialect;
  context: ReplyContext;
  exchange: Exchange;
  /** The stream is the rest of another one; see continuation.ts. */
  joined?: Joined | undefined;
}

/** A provider's stream in one dialect, a client's in another: SSE → events → parts → events. */
export function createTranslateStage({ from, to, context, exchange, joined }: Translation): TranslateStage {
  const decoder = from.stream.decoder();
  // What is found inexpressible in the middle of a stream can no longer stand in a header; the fact has it.
  const encoder = to.stream.encoder(context, (warning) => exchange.warnings.push(warning));
  for (const part of joined?.opening ?? []) encoder.encode(part);
  const notes: TranslateNotes = {};
  let state: StreamStage['state'] = 'open';
  let out = '';
  let hasContent = false;

  const emit = (part: StreamPart): void => {
    // Whatever follows the end belongs to no answer.
    if (state !== 'open') return;
    note(notes, part);
    hasContent ||= CONTENT.has(part.type);
    for (const each of joined?.join(part) ?? [part]) out += encoder.encode(each);
    if (part.type === 'end') state = 'done';
    if (part.type === 'error') state = 'error';
  };
  const clean = (part: StreamPart): StreamPart =>
    part.type === 'error' ? { ...part, error: { ...part.error, message: exchange.line.redact(part.error.message) } } : part;
  const parser = createSseParser({
    maxEventBytes: MAX_EVENT_BYTES,
    onEvent: (event) => {
      for (const part of decoder.decode(event)) emit(clean(part));
    },
  });
  const taken = (): string | undefined => {
    const text = out;
    out = '';
    return text === '' ? undefined : text;
  };

  return {
    notes,
    get state() {
      return state;
    },
    get hasContent() {
      return hasContent;
    },
    atBoundary: true,
    push(chunk) {
      try {
        parser.push(chunk);
      } catch (error) {
        throw error instanceof SseEventTooLargeError ? new GatewayError('upstream_bad_response', { cause: error }) : error;
      }
      return taken();
    },
    end() {
      parser.end();
      for (const part of decoder.finish()) emit(part);
      return taken();
    },
    fail: (error) => encoder.fail(exchange.cut ?? error),
  };
}

function note(notes: TranslateNotes, part: StreamPart): void {
  if (part.type === 'usage') notes.usage = part.usage;
  else if (part.type === 'finish') notes.finish = part.reason;
  else if (part.type === 'start') notes.model = part.model;
  else if (part.type === 'error') notes.failure = part.error;
}
