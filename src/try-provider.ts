/** One small real call to each endpoint of a provider: part of the composition root, because it needs a dialect and the way out. */
import type { TryProvider } from './control/config/try.ts';
import type { ChatRequest } from './core/chat.ts';
import type { Endpoint, Timeouts } from './core/target.ts';
import { anthropicMessages } from './dialects/anthropic-messages/dialect.ts';
import { ANTHROPIC_VERSION } from './dialects/anthropic-messages/wire.ts';
import type { Dialect } from './dialects/dialect.ts';
import { openaiChat } from './dialects/openai-chat/dialect.ts';
import { createRedact } from './telemetry/redact.ts';
import type { Send } from './upstream/send.ts';
import { collect } from './upstream/unary.ts';

const TIMEOUTS: Timeouts = { connectMs: 5_000, firstByteMs: 30_000, idleMs: 30_000, totalMs: 30_000 };
const MAX_ANSWER_BYTES = 256 * 1024;
const MAX_ERROR_CHARS = 500;
/** As few as every provider takes. */
const MAX_OUTPUT_TOKENS = 16;

export function createTryProvider(send: Send, now: () => number): TryProvider {
  return async (provider, model) => {
    const dialect = [openaiChat, anthropicMessages].find(({ id }) => id === provider.dialect) ?? openaiChat;
    const encoded = dialect.request.encode(smallRequest(model), {
      upstreamModel: model,
      quirks: provider.quirks,
      warn: () => undefined,
    });
    const body = Buffer.from(JSON.stringify(encoded));
    const redact = createRedact(provider.endpoints.flatMap(({ headers }) => Object.values(headers)));
    const endpoints = await Promise.all(
      provider.endpoints.map(async (endpoint) => {
        const began = now();
        const { status, error } = await tryEndpoint(send, endpoint, dialect, body);
        const words = error === null ? null : redact(error).slice(0, MAX_ERROR_CHARS);
        return { base_url: endpoint.baseUrl, ok: words === null, status, latency_ms: Math.round(now() - began), error: words };
      }),
    );
    return { ok: endpoints.every(({ ok }) => ok), model, endpoints };
  };
}

async function tryEndpoint(
  send: Send,
  endpoint: Endpoint,
  dialect: Dialect,
  body: Buffer,
): Promise<{ status: number | null; error: string | null }> {
  const headers = {
    'content-type': 'application/json',
    ...(dialect.id === 'anthropic-messages' && { 'anthropic-version': ANTHROPIC_VERSION }),
  };
  const sent = send({ endpoint, method: 'POST', path: dialect.path, headers, body, timeouts: TIMEOUTS, stream: false });
  const answer = await sent.answer;
  if (answer.failed) return { status: null, error: answer.error.message };
  const { status } = answer;
  const collected = await collect(answer.body, { maxBytes: MAX_ANSWER_BYTES, contentLength: answer.headers['content-length'] });
  if ('error' in collected) return { status, error: collected.error.message };
  const bytes = 'whole' in collected ? collected.whole : collected.head;
  if ('head' in collected) answer.body.abort();
  if (status >= 300) return { status, error: dialect.error.decode(status, bytes).message };
  return { status, error: answerProblem(dialect, bytes) };
}

function answerProblem(dialect: Dialect, bytes: Buffer): string | null {
  try {
    dialect.response.decode(JSON.parse(bytes.toString('utf8')) as Record<string, unknown>);
    return null;
  } catch {
    return 'The answer is not one of this kind of provider; is the base URL right?';
  }
}

function smallRequest(model: string): ChatRequest {
  return {
    model,
    messages: [{ role: 'user', content: [{ type: 'text', text: 'Say OK.' }] }],
    tools: [],
    maxOutputTokens: MAX_OUTPUT_TOKENS,
    stream: false,
    includeUsage: false,
    extra: {},
  };
}
