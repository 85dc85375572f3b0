import { type AskWhole, type WholeAnswer } from './way-out.ts';
import type { Trust } from './types.ts';

/** What libraries hand to a `fetch` of their own choosing, as far as ours use it. */
export interface FetchInit {
  method?: string;
  headers?: Headers | Record<string, string>;
  body?: unknown;
  signal?: AbortSignal | null;
}

export interface FetchRules {
  timeoutMs: number;
  maxBytes: number;
  /** Whose word an address is. */
  trustOf: (url: string) => Trust;
}

/** Statuses whose Response must have no body. */
const BODILESS = new Set([204, 205, 304]);

/**
 * The `fetch` that libraries are given instead of the global one: the same way out as everything, whole answers only, no redirects.
 * Rejects where no whole answer came; bodies are text or bytes, nothing that flows.
 */
export function createFetch(ask: AskWhole, { timeoutMs, maxBytes, trustOf }: FetchRules) {
  return async (url: string, init: FetchInit = {}): Promise<Response> => {
    const { method = 'GET', body, signal } = init;
    signal?.throwIfAborted();
    const answer = await ask({
      url,
      method: method as 'GET',
      headers: Object.fromEntries(new Headers(init.headers)),
      ...(body !== undefined && body !== null && { body: bytesOf(body) }),
      timeoutMs,
      maxBytes,
      trust: trustOf(url),
    });
    return responseOf(answer);
  };
}

function bytesOf(body: unknown): Buffer {
  if (typeof body === 'string' || body instanceof URLSearchParams) return Buffer.from(String(body));
  if (body instanceof Uint8Array) return Buffer.from(body);
  throw new TypeError('only text and bytes can be sent');
}

function responseOf({ status, headers, body }: WholeAnswer): Response {
  const flat = Object.entries(headers).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [value].flat().map((each) => [name, each]),
  );
  return new Response(BODILESS.has(status) ? null : new Uint8Array(body), { status, headers: flat });
}
