/** What the SDKs make of failures: their error classes, their own retries, and leaving in the middle. */
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { Anthropic } from '@anthropic-ai/sdk';
import { APICallError, RetryError, generateText, streamText } from 'ai';
import { Anthropic as Anthropic0 } from 'anthropic-sdk-0';
import { OpenAI } from 'openai';
import { OpenAI as OpenAI6 } from 'openai-6';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { type FaultUpstream, SSE_HEAD, type Step, chunk, startFaultUpstream, whole } from '../support/fault-upstream.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

// The SDK warns of models whose limits it does not know; these are ours.
globalThis.AI_SDK_LOG_WARNINGS = false;

const KEY = 'a-key-of-real-clients';
const SAID = 'these are the provider’s own words';
/** How soon an upstream must see that a client has left. */
const GONE_MS = 1_000;

let upstream: FaultUpstream;
let box: Signalbox;

beforeAll(async () => {
  upstream = await startFaultUpstream(() => []);
  box = await startSignalbox({
    config: JSON.stringify({
      server: { workers: 1, max_body_bytes: 1_000_000 },
      providers: {
        gpt: { type: 'openai', base_url: `${upstream.url}/v1`, api_key: 'none' },
        claude: { type: 'anthropic', base_url: upstream.url, api_key: 'none' },
      },
      models: ['gpt', 'claude'].map((name) => ({
        name,
        targets: [{ provider: name, model: name, timeouts: { total_ms: 400 } }],
      })),
      keys: [{ name: 'client', key: '${env:CLIENT_KEY}', models: ['*'] }],
    }),
    env: { CLIENT_KEY: KEY },
  });
});
afterAll(async () => {
  await box?.stop();
  await upstream?.close();
});
beforeEach(() => {
  upstream.requests.length = 0;
  upstream.closedAt.length = 0;
});

/** One SDK as these tests need it. */
interface Sdk {
  name: string;
  errors: typeof OpenAI | typeof Anthropic;
  ask: (model: string, options?: { key?: string; maxRetries?: number; signal?: AbortSignal }) => Promise<unknown>;
  stream: (model: string) => Promise<AsyncIterable<unknown> & { controller: AbortController }>;
}

const turns = [{ role: 'user' as const, content: 'Hello' }];

function openaiSdk(name: string, Client: typeof OpenAI): Sdk {
  const client = (apiKey = KEY) => new Client({ apiKey, baseURL: `${box.url}/v1` }).chat.completions;
  return {
    name,
    errors: Client,
    ask: (model, { key, maxRetries = 0, signal } = {}) =>
      client(key).create({ model, messages: turns, max_tokens: 9 }, { maxRetries, ...(signal && { signal }) }),
    stream: (model) => client().create({ model, messages: turns, max_tokens: 9, stream: true }, { maxRetries: 0 }),
  };
}

function anthropicSdk(name: string, Client: typeof Anthropic): Sdk {
  const client = (apiKey = KEY) => new Client({ apiKey, baseURL: box.url }).messages;
  return {
    name,
    errors: Client,
    ask: (model, { key, maxRetries = 0, signal } = {}) =>
      client(key).create({ model, messages: turns, max_tokens: 9 }, { maxRetries, ...(signal && { signal }) }),
    stream: (model) => client().create({ model, messages: turns, max_tokens: 9, stream: true }, { maxRetries: 0 }),
  };
}

const SDKS: Sdk[] = [
  openaiSdk('openai 7', OpenAI),
  openaiSdk('openai 6', OpenAI6 as unknown as typeof OpenAI),
  anthropicSdk('@anthropic-ai/sdk 1', Anthropic),
  anthropicSdk('@anthropic-ai/sdk 0.137', Anthropic0 as unknown as typeof Anthropic),
];

/** Answers of each provider, as its API documentation shapes them. */
const ANSWERS = {
  gpt: {
    whole: {
      id: 'c',
      object: 'chat.completion',
      created: 1,
      model: 'gpt',
      choices: [
        { index: 0, message: { role: 'assistant', content: 'Hi', refusal: null }, logprobs: null, finish_reason: 'stop' },
      ],
    },
    error: { error: { message: SAID, type: 'invalid_request_error', param: null, code: null } },
    firstEvents: `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}\n\n`,
  },
  claude: {
    whole: {
      id: 'm',
      type: 'message',
      role: 'assistant',
      model: 'claude',
      content: [{ type: 'text', text: 'Hi' }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: { input_tokens: 1, output_tokens: 1 },
    },
    error: { type: 'error', error: { type: 'invalid_request_error', message: SAID }, request_id: 'req_of_anthropic' },
    firstEvents: [
      {
        type: 'message_start',
        message: {
          id: 'm',
          type: 'message',
          role: 'assistant',
          model: 'claude',
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: { input_tokens: 1, output_tokens: 1 },
        },
      },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hi' } },
    ]
      .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
      .join(''),
  },
} as const;
const MODELS = ['gpt', 'claude'] as const;
type Model = (typeof MODELS)[number];

const ok = (model: Model): Step[] => [{ send: whole(200, JSON.stringify(ANSWERS[model].whole)) }];
const refusal = (model: Model, status: number, headers: Record<string, string> = {}): Step[] => [
  { send: whole(status, JSON.stringify(ANSWERS[model].error), headers) },
];
/** These steps for the first request, a good answer for all others. */
function onceThenOk(model: Model, first: Step[]): void {
  upstream.play(() => (upstream.requests.length === 1 ? first : ok(model)));
}

async function failureOf(asked: Promise<unknown>): Promise<Error & { status?: number; requestID?: string }> {
  return asked.then(
    () => {
      throw new Error('it was answered');
    },
    (error: Error) => error,
  );
}

/** Waits for the next close of an upstream connection after `from`; says how long that took. */
async function closedWithin(from: number): Promise<number> {
  while (performance.now() - from < GONE_MS) {
    const closed = upstream.closedAt.find((at) => at >= from);
    if (closed !== undefined) return closed - from;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`the upstream's connection was still open after ${GONE_MS} ms`);
}

describe.each(SDKS)('$name', ({ errors, ask, stream }) => {
  it('an unknown key', async () => {
    const error = await failureOf(ask('gpt', { key: 'a-key-nobody-knows-at-all', maxRetries: 2 }));
    expect(error).toBeInstanceOf(errors.AuthenticationError);
    expect(error).toMatchObject({ status: 401, requestID: expect.stringMatching(/^req_/) as string });
    expect(upstream.requests).toEqual([]);
  });

  it('a body beyond the limit, refused at the edge', async () => {
    const error = await failureOf(ask('gpt'.repeat(2_000_000)));
    expect(error).toMatchObject({ status: 413, requestID: expect.stringMatching(/^req_/) as string });
  });

  it('an unknown model', async () => {
    const error = await failureOf(ask('gtp'));
    expect(error).toBeInstanceOf(errors.NotFoundError);
    expect(error).toMatchObject({ status: 404, requestID: expect.stringMatching(/^req_/) as string });
    expect(error.message).toContain('`gpt`');
    if (errors === OpenAI)
      expect(error).toMatchObject({ code: 'model_not_found', param: 'model', type: 'invalid_request_error' });
  });

  describe.each(MODELS)('asking %s', (model) => {
    it('a request that the provider refuses: its words, no retry', async () => {
      upstream.play(() => refusal(model, 400));
      const error = await failureOf(ask(model, { maxRetries: 2 }));
      expect(error).toBeInstanceOf(errors.BadRequestError);
      expect(error.message).toContain(SAID);
      expect(error.requestID).toMatch(/^req_/);
      expect(upstream.requests).toHaveLength(1);
    });

    it('a rate limit: thrown as such where the SDK may not retry', async () => {
      upstream.play(() => refusal(model, 429, { 'retry-after': '7' }));
      const error = await failureOf(ask(model));
      expect(error).toBeInstanceOf(errors.RateLimitError);
      expect((error as { headers?: Headers }).headers?.get('retry-after')).toBe('7');
    });

    it('a rate limit: retried by the SDK after the provider’s pause', async () => {
      onceThenOk(model, refusal(model, 429, { 'retry-after': '1' }));
      const from = performance.now();
      await ask(model, { maxRetries: 2 });
      expect(upstream.requests).toHaveLength(2);
      expect(performance.now() - from).toBeGreaterThan(950);
    });

    it('a rate limit that the provider says not to retry', async () => {
      upstream.play(() => refusal(model, 429, { 'x-should-retry': 'false' }));
      expect(await failureOf(ask(model, { maxRetries: 2 }))).toBeInstanceOf(errors.RateLimitError);
      expect(upstream.requests).toHaveLength(1);
    });

    it('a failure of the provider: retried by the SDK', async () => {
      onceThenOk(model, refusal(model, 500));
      await ask(model, { maxRetries: 2 });
      expect(upstream.requests).toHaveLength(2);
    });

    it('our credential refused: no retry can help, so there is none', async () => {
      upstream.play(() => refusal(model, 401));
      const error = await failureOf(ask(model, { maxRetries: 2 }));
      expect(error).toBeInstanceOf(errors.InternalServerError);
      expect(error.status).toBe(502);
      expect(error.message).not.toContain(SAID);
      expect(upstream.requests).toHaveLength(1);
    });

    it('silence: a timeout’s status', async () => {
      upstream.play(() => ['hang']);
      expect(await failureOf(ask(model))).toMatchObject({ status: 504 });
    });

    it('a stream that breaks is thrown, never a quiet end', async () => {
      upstream.play(() => [{ send: SSE_HEAD }, { send: chunk(ANSWERS[model].firstEvents) }, { waitMs: 50 }, 'reset']);
      const events = await stream(model);
      const read = async (): Promise<void> => {
        for await (const _event of events) continue;
      };
      const error = await failureOf(read());
      expect(error).toBeInstanceOf(errors.APIError);
      expect(error.message).toContain('before it was complete');
    });

    it('leaving a stream in the middle closes the upstream’s connection', async () => {
      upstream.play(() => [{ send: SSE_HEAD }, { send: chunk(ANSWERS[model].firstEvents) }, 'hang']);
      const aborted = await stream(model);
      for await (const _event of aborted) {
        const from = performance.now();
        aborted.controller.abort();
        expect(await closedWithin(from)).toBeLessThan(GONE_MS);
        break;
      }
      const left = await stream(model);
      let from = 0;
      for await (const _event of left) {
        from = performance.now();
        break;
      }
      expect(await closedWithin(from)).toBeLessThan(GONE_MS);
    });

    it('leaving before an answer closes it too', async () => {
      const leaving = new AbortController();
      let from = 0;
      upstream.play(() => [
        { waitMs: 50 },
        {
          run: () => {
            from = performance.now();
            leaving.abort();
          },
        },
        'hang',
      ]);
      expect(await failureOf(ask(model, { signal: leaving.signal }))).toBeInstanceOf(errors.APIUserAbortError);
      expect(await closedWithin(from)).toBeLessThan(GONE_MS);
    });
  });
});

describe.each([
  ['@ai-sdk/openai', (model: string, apiKey: string) => createOpenAI({ apiKey, baseURL: `${box.url}/v1` }).chat(model)],
  ['@ai-sdk/anthropic', (model: string, apiKey: string) => createAnthropic({ apiKey, baseURL: `${box.url}/v1` })(model)],
] as const)('%s', (_name, client) => {
  const prompt = 'Hello';

  it('an unknown key, an unknown model', async () => {
    for (const [model, statusCode] of [
      [client('gpt', 'a-key-nobody-knows-at-all'), 401],
      [client('gtp', KEY), 404],
    ] as const) {
      const error = await failureOf(generateText({ model, prompt }));
      expect(APICallError.isInstance(error)).toBe(true);
      expect(error).toMatchObject({ statusCode, isRetryable: false });
    }
  });

  describe.each(MODELS)('asking %s', (model) => {
    it('a request that the provider refuses: its words', async () => {
      upstream.play(() => refusal(model, 400));
      const error = await failureOf(generateText({ model: client(model, KEY), prompt }));
      expect(error).toMatchObject({ statusCode: 400, isRetryable: false, message: SAID });
    });

    it('a rate limit: retried after the provider’s pause, and told as such in the end', async () => {
      onceThenOk(model, refusal(model, 429, { 'retry-after': '1' }));
      const from = performance.now();
      expect((await generateText({ model: client(model, KEY), prompt, maxRetries: 1 })).text).toBe('Hi');
      expect(performance.now() - from).toBeGreaterThan(950);
      upstream.play(() => refusal(model, 429, { 'retry-after': '0' }));
      const error = await failureOf(generateText({ model: client(model, KEY), prompt, maxRetries: 1 }));
      expect(RetryError.isInstance(error) && error.lastError).toMatchObject({ statusCode: 429, isRetryable: true });
    });

    it('a stream that breaks is an error part', async () => {
      upstream.play(() => [{ send: SSE_HEAD }, { send: chunk(ANSWERS[model].firstEvents) }, { waitMs: 50 }, 'reset']);
      const errors: unknown[] = [];
      const answer = streamText({
        model: client(model, KEY),
        prompt,
        maxRetries: 0,
        onError: ({ error }) => void errors.push(error),
      });
      await answer.consumeStream();
      expect(JSON.stringify(errors)).toContain('before it was complete');
    });

    it('leaving in the middle closes the upstream’s connection', async () => {
      upstream.play(() => [{ send: SSE_HEAD }, { send: chunk(ANSWERS[model].firstEvents) }, 'hang']);
      const leaving = new AbortController();
      const { textStream } = streamText({
        model: client(model, KEY),
        prompt,
        abortSignal: leaving.signal,
        onError: () => undefined,
      });
      for await (const text of textStream) {
        expect(text).toBe('Hi');
        const from = performance.now();
        leaving.abort();
        expect(await closedWithin(from)).toBeLessThan(GONE_MS);
        break;
      }
    });
  });
});
