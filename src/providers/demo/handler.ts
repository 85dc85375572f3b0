/**
 * The demo provider: an HTTP handler that speaks both dialects like any other provider, so that relay, translation, timeouts and taps run for
 * real without an account. It is served on the control plane's socket, and its dialects are handed in.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';

import type { ChatResponse } from '../../core/chat.ts';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import { type Json, isObject } from '../../core/read.ts';
import type { Dialect, ReplyContext } from '../../dialects/dialect.ts';
import { demoAnswer } from './answer.ts';
import { demoEmbeddings } from './embeddings.ts';
import { digest } from './hash.ts';
import { isDelta, partsOf } from './stream.ts';

export interface DemoOptions {
  dialects: { chat: Dialect; messages: Dialect };
  nowMs: () => number;
  /** Pause before each streamed word. */
  wordDelayMs?: number;
  sleep?: (ms: number) => Promise<void>;
}

const DEFAULT_WORD_DELAY_MS = 20;
/** Parsing more than this would hold up the thread that serves the handler, which others wait for. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** Handles `POST /demo/v1/{chat/completions,messages,embeddings}`; any other path is 404. Answers every error in the path's dialect. */
export function createDemoHandler(options: DemoOptions): (request: IncomingMessage, response: ServerResponse) => void {
  const { chat, messages } = options.dialects;
  const sleep = options.sleep ?? ((ms) => setTimeout(ms));
  const demo: Demo = { nowMs: options.nowMs, sleep, wordDelayMs: options.wordDelayMs ?? DEFAULT_WORD_DELAY_MS };
  const routes: Readonly<Record<string, Route>> = {
    '/demo/v1/chat/completions': { errors: chat, answer: (call) => converse(demo, call, chat) },
    '/demo/v1/messages': { errors: messages, answer: (call) => converse(demo, call, messages) },
    '/demo/v1/embeddings': { errors: chat, answer: embed },
  };
  return (request, response) => {
    const path = request.url?.split('?')[0] ?? '';
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    void serve(request, response, route ?? { errors: chat, answer: nothing });
  };
}

interface Demo {
  nowMs: () => number;
  sleep: (ms: number) => Promise<void>;
  wordDelayMs: number;
}

interface Call {
  request: IncomingMessage;
  response: ServerResponse;
  /** A digest of the body: equal requests, equal ids. */
  id: string;
  body: Json;
}

interface Route {
  errors: Dialect;
  answer: (call: Call) => Promise<void>;
}

async function serve(request: IncomingMessage, response: ServerResponse, route: Route): Promise<void> {
  let id = 'demo';
  try {
    const text = await readBody(request);
    id = digest(text, 24);
    await route.answer({ request, response, id, body: parse(text) });
  } catch (thrown) {
    // A client that left needs no answer, and a stream already begun can only be cut.
    if (response.destroyed || response.headersSent) response.destroy();
    else {
      const error = toGatewayError(thrown);
      sendJson(response, error.status, route.errors.error.encode(error, `req_${id}`));
    }
  }
}

async function converse(demo: Demo, { request, response, id, body }: Call, dialect: Dialect): Promise<void> {
  const asked = dialect.request.decode(body, plainHeaders(request));
  const nowS = Math.floor(demo.nowMs() / 1000);
  const answer: ChatResponse = { ...demoAnswer(asked, `${ID_PREFIX[dialect.id]}${id}`), createdS: nowS };
  const context: ReplyContext = { requestId: `req_${id}`, nowS, includeUsage: asked.includeUsage };
  if (!asked.stream) {
    sendJson(response, 200, dialect.response.encode(answer, context, ignore));
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
  await pipeline(Readable.from(events(demo, answer, dialect.stream.encoder(context, ignore))), response);
}

const ID_PREFIX: Readonly<Record<Dialect['id'], string>> = {
  'openai-chat': 'chatcmpl-demo-',
  'openai-responses': 'resp_demo_',
  'anthropic-messages': 'msg_demo_',
};

/** The bytes of the stream at the pace of a reader. Ends early when the client leaves, because nothing pulls any more. */
async function* events(
  demo: Demo,
  answer: ChatResponse,
  encoder: ReturnType<Dialect['stream']['encoder']>,
): AsyncGenerator<string> {
  for (const part of partsOf(answer)) {
    if (demo.wordDelayMs > 0 && isDelta(part)) await demo.sleep(demo.wordDelayMs);
    const event = encoder.encode(part);
    if (event !== '') yield event;
  }
}

async function embed({ response, body }: Call): Promise<void> {
  sendJson(response, 200, demoEmbeddings(body));
}

async function nothing(): Promise<void> {
  throw new GatewayError('not_found');
}

async function readBody(request: IncomingMessage): Promise<string> {
  if (request.method !== 'POST') throw new GatewayError('method_not_allowed');
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new GatewayError('body_too_large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): Json {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    throw new GatewayError('invalid_json', { cause });
  }
  if (!isObject(body)) throw new GatewayError('invalid_request', { details: { message: 'The body must be a JSON object' } });
  return body;
}

function plainHeaders(request: IncomingMessage): Record<string, string> {
  const entries = Object.entries(request.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as Record<string, string>;
}

function sendJson(response: ServerResponse, status: number, body: Json): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length });
  response.end(bytes);
}

/** Whatever the demo ignores, it ignores like a model: without a word. */
const ignore = (): void => undefined;
