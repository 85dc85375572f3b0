/** The `fetch` for libraries that read streams: the same way out as everything, with bodies that flow as fast as they are read. */
import type { GatewayError } from '../core/errors.ts';
import { badResponse } from './failure.ts';
import type { FetchInit } from './fetch.ts';
import type { Dispatched, UpstreamAnswer, UpstreamBody } from './types.ts';

export interface StreamFetchRequest {
  url: string;
  method: string;
  /** Lower case names. */
  headers: Record<string, string>;
  body: Buffer | undefined;
  stream: boolean;
}

export interface StreamFetchParts {
  dispatch: (request: StreamFetchRequest) => Dispatched;
  /** The transport failed, before the head or within the body: libraries wrap such errors, or lose them. */
  onFailure?: (error: Error, undelivered?: boolean) => void;
}

export type StreamFetch = (url: string, init?: FetchInit) => Promise<Response>;

/** Statuses whose Response must have no body. */
const BODILESS = new Set([204, 205, 304]);

/** Libraries hold an answer that is no stream until it is whole: beyond this it is none. */
const MAX_WHOLE_BYTES = 10 * 1024 * 1024;

/** Rejects with the GatewayError of what did not arrive, or cannot be a Response. */
export function createStreamFetch({ dispatch, onFailure }: StreamFetchParts): StreamFetch {
  return async (url, init = {}) => {
    const { method = 'GET', body, signal } = init;
    signal?.throwIfAborted();
    const headers = Object.fromEntries(new Headers(init.headers));
    const stream = headers.accept?.includes('text/event-stream') === true;
    const sent = dispatch({ url, method, headers, body: bytesOf(body), stream });
    signal?.addEventListener('abort', () => sent.abort(), { once: true });
    const answer = await sent.answer;
    if (!answer.failed) return responseOf(answer, stream, onFailure);
    onFailure?.(answer.error, answer.undelivered);
    throw answer.error;
  };
}

function bytesOf(body: unknown): Buffer | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string') return Buffer.from(body);
  throw new TypeError('only text can be sent');
}

function responseOf(
  { status, headers, body }: UpstreamAnswer,
  stream: boolean,
  onFailure: StreamFetchParts['onFailure'],
): Response {
  // HTTP lets a server send any three digits.
  if (status > 599) {
    const error = badResponse(`its status is ${status}`, status);
    body.abort();
    onFailure?.(error);
    throw error;
  }
  const flat = Object.entries(headers).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [value].flat().map((each) => [name, each]),
  );
  if (BODILESS.has(status)) body.abort();
  const flows = stream && status < 400 && /^text\/event-stream/i.test(headers['content-type'] ?? '');
  const limits = { maxBytes: flows ? Infinity : MAX_WHOLE_BYTES, onFailure };
  return new Response(BODILESS.has(status) ? null : flowing(body, limits), { status, headers: flat });
}

interface FlowLimits {
  maxBytes: number;
  onFailure: StreamFetchParts['onFailure'];
}

function flowing(body: UpstreamBody, { maxBytes, onFailure }: FlowLimits): ReadableStream<Uint8Array> {
  let isPaused = false;
  let isOver = false;
  let bytes = 0;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      const fail = (error: GatewayError): void => {
        if (isOver) return;
        isOver = true;
        onFailure?.(error);
        controller.error(error);
      };
      body.consume({
        data(chunk) {
          // undici gives an empty chunk at a resume within one: passed on, it would be read, and be followed by the next, for ever and before any socket is read.
          if (chunk.length === 0) return true;
          bytes += chunk.length;
          if (bytes > maxBytes) {
            fail(badResponse(`it is larger than ${maxBytes} bytes`));
            body.abort();
            return false;
          }
          controller.enqueue(chunk);
          isPaused = (controller.desiredSize ?? 0) <= 0;
          return !isPaused;
        },
        end() {
          isOver = true;
          controller.close();
        },
        fail,
      });
    },
    pull() {
      if (!isPaused) return;
      isPaused = false;
      body.resume();
    },
    cancel() {
      isOver = true;
      body.abort();
    },
  });
}
