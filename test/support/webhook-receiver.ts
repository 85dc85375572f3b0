/** A real receiver of signed calls, as an operator would write one: it verifies the signature by its own hand before it believes a word. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { type IncomingHttpHeaders, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface ReceivedCall {
  path: string;
  headers: IncomingHttpHeaders;
  text: string;
  body: Record<string, unknown>;
  /** The signature is that of the secret, and its time is now. */
  genuine: boolean;
  atMs: number;
}

export type Answer = (call: ReceivedCall, response: ServerResponse) => unknown;

export interface WebhookReceiver {
  url: string;
  port: number;
  calls: ReceivedCall[];
  /** Replaces what is answered: an object as JSON with 200, a number as a bare status; a function that ends the response itself answers undefined. */
  play: (answer: Answer) => void;
  /** Resolves with the calls once there are so many; throws after 10 s. */
  until: (count: number) => Promise<ReceivedCall[]>;
  close: () => Promise<void>;
}

/** `secret` as the operator configured it. */
export async function startWebhookReceiver(secret: string, first: Answer = () => 204, port = 0): Promise<WebhookReceiver> {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret);
  const calls: ReceivedCall[] = [];
  let answer = first;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      const call: ReceivedCall = {
        path: request.url ?? '',
        headers: request.headers,
        text,
        body: parsed(text),
        genuine: isGenuine(key, request.headers, text),
        atMs: Date.now(),
      };
      calls.push(call);
      void reply(response, answer(call, response));
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    calls,
    play(next) {
      answer = next;
    },
    async until(count) {
      const deadline = performance.now() + 10_000;
      while (calls.length < count) {
        if (performance.now() > deadline) throw new Error(`${calls.length} calls came, ${count} were awaited`);
        await delay(10);
      }
      return calls;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function reply(response: ServerResponse, answer: unknown): Promise<void> {
  const said = await answer;
  if (typeof said === 'number') response.writeHead(said).end();
  else if (said !== undefined) response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(said));
}

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function isGenuine(key: Buffer, headers: IncomingHttpHeaders, text: string): boolean {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature } = headers;
  const expected = `v1,${createHmac('sha256', key)
    .update(`${String(id)}.${String(timestamp)}.${text}`)
    .digest('base64')}`;
  const presented = Buffer.from(String(signature));
  const isFresh = Math.abs(Date.now() / 1000 - Number(timestamp)) < 30;
  return isFresh && presented.length === expected.length && timingSafeEqual(presented, Buffer.from(expected));
}
