/** The `fetch` for libraries that read streams: the same way out as everything, with bodies that flow as fast as they are read. */
import type { FetchInit } from './fetch.ts';
import type { Dispatched, UpstreamBody } from './types.ts';

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
  onFailure?: (error: Error) => void;
}

export type StreamFetch = (url: string, init?: FetchInit) => Promise<Response>;

/** Statuses whose Response must have no body. */
const BODILESS = new Set([204, 205, 304]);

/** Rejects with the GatewayError of what did not arrive. */
export function createStreamFetch({ dispatch, onFailure }: StreamFetchParts): StreamFetch {
  return async (url, init = {}) => {
    const { method = 'GET', body, signal } = init;
    signal?.throwIfAborted();
    const headers = Object.fromEntries(new Headers(init.headers));
    const stream = headers.accept?.includes('text/event-stream') === true;
    const sent = dispatch({ url, method, headers, body: typeof body === 'string' ? Buffer.from(body) : undefined, stream });
    signal?.addEventListener('abort', () => sent.abort(), { once: true });
    const answer = await sent.answer;
    if (answer.failed) {
      onFailure?.(answer.error);
      throw answer.error;
    }
    const flat = Object.entries(answer.headers).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [value].flat().map((each) => [name, each]),
    );
    const { status } = answer;
    if (BODILESS.has(status)) answer.body.abort();
    return new Response(BODILESS.has(status) ? null : flowing(answer.body, onFailure), { status, headers: flat });
  };
}

function flowing(body: UpstreamBody, onFailure: StreamFetchParts['onFailure']): ReadableStream<Uint8Array> {
  let isPaused = false;
  let isOver = false;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      body.consume({
        data(chunk) {
          controller.enqueue(chunk);
          isPaused = (controller.desiredSize ?? 0) <= 0;
          return !isPaused;
        },
        end() {
          isOver = true;
          controller.close();
        },
        fail(error) {
          if (isOver) return;
          isOver = true;
          onFailure?.(error);
          controller.error(error);
        },
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
