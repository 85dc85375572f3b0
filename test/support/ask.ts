/** A client that sees what really came: bytes, their times of arrival, and how the answer ended. */
import { Agent, request } from 'undici';

/** Streams that last are many; each has a connection. */
const CLIENT = new Agent({ connections: 64, keepAliveTimeout: 1_000, bodyTimeout: 0, headersTimeout: 0 });

export interface Asked {
  method?: 'GET' | 'POST' | 'HEAD' | 'PUT' | 'DELETE';
  headers?: Record<string, string>;
  /** Text and bytes as they are; anything else as JSON. */
  body?: string | Buffer | object;
  signal?: AbortSignal;
}

export interface Reply {
  status: number;
  /** Lower case names. */
  headers: Record<string, string>;
  bytes: Buffer;
  text: string;
  /** Of the bytes' arrival, performance.now(). */
  arrivedAt: number[];
  /** Why the body broke off, if it did. */
  broken?: string;
}

/** Asks and waits for the end; never rejects for what happens inside the body. */
export async function ask(url: string, { method, headers, body, signal }: Asked = {}): Promise<Reply> {
  const sent = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const answer = await request(url, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    body: sent ?? null,
    dispatcher: CLIENT,
    ...(signal === undefined ? {} : { signal }),
  });
  const chunks: Buffer[] = [];
  const arrivedAt: number[] = [];
  let broken: string | undefined;
  try {
    for await (const chunk of answer.body) {
      chunks.push(chunk as Buffer);
      arrivedAt.push(performance.now());
    }
  } catch (error) {
    broken = String(error);
  }
  const bytes = Buffer.concat(chunks);
  const flat = Object.entries(answer.headers).map(([name, value]) => [name, String(value)]);
  return {
    status: answer.statusCode,
    headers: Object.fromEntries(flat) as Record<string, string>,
    bytes,
    text: bytes.toString('utf8'),
    arrivedAt,
    ...(broken === undefined ? {} : { broken }),
  };
}

/** The reply's body as the JSON object it is; throws where it is none. */
export function jsonOf(reply: Reply): Record<string, unknown> {
  return JSON.parse(reply.text) as Record<string, unknown>;
}

/** Calls `work` for every item, at most `width` at a time; results in the items' order. */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  width: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const at = next++;
      results[at] = await work(items[at]!);
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  return results;
}
