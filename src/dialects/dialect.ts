/**
 * The port every wire format implements, once towards clients and once towards providers.
 *
 * A dialect is pure: bytes and objects in, bytes and objects out; no clock but the one handed in, no I/O. One folder per dialect,
 * the same six files: request, response, stream, error, usage, wire. No dialect imports another.
 */
import type { ChatRequest, ChatResponse, Warning } from '../core/chat.ts';
import type { DialectId } from '../core/dialect-id.ts';
import type { GatewayError } from '../core/errors.ts';
import type { StreamPart, UpstreamFailure } from '../core/parts.ts';
import type { Quirks } from '../core/quirks.ts';
import type { AnswerSummary, StreamTap } from '../core/tap.ts';
import type { SseEvent } from '../lib/sse-parser.ts';

export type { AnswerSummary } from '../core/tap.ts';

/** A JSON object as `JSON.parse` makes it; never merged, never trusted. */
export type JsonObject = Record<string, unknown>;

/** What an encoder towards a provider must know of the place it sends to. */
export interface EncodeTarget {
  upstreamModel: string;
  quirks: Quirks;
  /** The model's greatest output, where known: Anthropic demands `max_tokens` even if the caller set none. */
  maxOutputTokens?: number;
  /** Called for everything the target cannot express and that does not change the meaning of the answer. */
  warn: (warning: Warning) => void;
}

/** What an encoder towards a client must know of the exchange. */
export interface ReplyContext {
  requestId: string;
  nowS: number;
  /** openai-chat: the client asked for a usage chunk. */
  includeUsage: boolean;
}

export interface StreamDecoder {
  /** The parts one SSE event means; several, one or none. Throws GatewayError('upstream_bad_response') on what cannot be read. */
  decode(event: SseEvent): StreamPart[];
  /** The transport ended: the parts that close what is open. An `end` part only if the provider's terminal event was seen. */
  finish(): StreamPart[];
}

export interface StreamEncoder {
  /** The bytes, as one string of whole SSE events, that one part becomes; empty where nothing is to be sent yet. */
  encode(part: StreamPart): string;
  /** Our own failure after the first byte: the dialect's in-band error event. Nothing is sent after it. */
  fail(error: GatewayError): string;
}

export interface TapOptions {
  /** The gateway, not the client, asked for usage: take the usage-only chunk and `usage: null` out of the stream. */
  stripUsage: boolean;
}

export interface Dialect {
  readonly id: DialectId;
  /** Path under a provider's base URL (`/chat/completions`, `/v1/messages`). */
  readonly path: string;
  request: {
    /**
     * A client's body, validated in all that is read. Throws GatewayError('invalid_request', {param}) naming the field.
     * Types are checked; whether a value makes sense is the upstream's to judge.
     */
    decode(body: JsonObject, headers: Readonly<Record<string, string>>): ChatRequest;
    /** The body for a provider. Throws GatewayError('unsupported_parameter', {param}) where leaving something out would change the answer's meaning. */
    encode(request: ChatRequest, target: EncodeTarget): JsonObject;
  };
  response: {
    /** A provider's answer. Loose: absent fields are filled, unknown ones ignored. Throws GatewayError('upstream_bad_response'). */
    decode(body: JsonObject): ChatResponse;
    encode(response: ChatResponse, context: ReplyContext, warn: (warning: Warning) => void): JsonObject;
  };
  stream: {
    decoder(): StreamDecoder;
    encoder(context: ReplyContext, warn: (warning: Warning) => void): StreamEncoder;
  };
  error: ErrorDialect;
  usage: {
    /** Usage and finish from a whole answer's parsed body; undefined usage where it carries none. */
    summarize: (body: JsonObject) => AnswerSummary;
    tap: (options: TapOptions) => StreamTap;
  };
}

/** How a dialect says no; surfaces that are only relayed (embeddings, responses, models) need nothing else. */
export interface ErrorDialect {
  /** Our error, as the body a client of this dialect expects. */
  encode: (error: GatewayError, requestId: string) => JsonObject;
  /** Our error as a whole SSE event (with terminator), to end a stream already begun. */
  event: (error: GatewayError, requestId: string) => string;
  /** An upstream's error body, whatever it holds (object, string, array, HTML): never throws. */
  decode: (status: number, body: unknown) => UpstreamFailure;
}
