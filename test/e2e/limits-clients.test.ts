/** What the official SDKs see of a limit, and what they do about it. */
import { Anthropic, RateLimitError as AnthropicRateLimitError } from '@anthropic-ai/sdk';
import { OpenAI, RateLimitError as OpenAiRateLimitError } from 'openai';
import { afterEach, describe, expect, test } from 'vitest';

import { KEYS, type LimitsBox, answered, startLimitsBox } from '../support/limits-box.ts';

const started: LimitsBox[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((each) => each.stop()));
});

async function serve(limits: string): Promise<LimitsBox> {
  const one = await startLimitsBox(
    (lab) => `
providers: { lab: { type: openai-compatible, base_url: "${lab}/v1", api_key: none } }
models: [{ name: m, targets: [{ provider: lab, model: up }] }]
keys: [{ name: ci, key: "\${env:CI}", limits: ${limits} }]
`,
  );
  started.push(one);
  return one;
}

const question = { model: 'm', max_tokens: 5, messages: [{ role: 'user' as const, content: 'hello' }] };

describe.each(['openai', 'anthropic'] as const)('%s', (name) => {
  const client = (url: string, maxRetries: number): { ask: () => Promise<{ headers: Headers }> } => {
    if (name === 'openai') {
      const sdk = new OpenAI({ baseURL: `${url}/v1`, apiKey: KEYS.CI, maxRetries });
      return { ask: async () => ({ headers: (await sdk.chat.completions.create(question).withResponse()).response.headers }) };
    }
    const sdk = new Anthropic({ baseURL: url, apiKey: KEYS.CI, maxRetries });
    return { ask: async () => ({ headers: (await sdk.messages.create(question).withResponse()).response.headers }) };
  };
  const RateLimitError = name === 'openai' ? OpenAiRateLimitError : AnthropicRateLimitError;

  test('reads what is left from the answer, and why and how long from the refusal', async () => {
    const { box, seen } = await serve('{ rpm: 1, tpm: 1000 }');
    const { ask } = client(box.url, 0);
    const { headers } = await ask();
    expect(headers.get('x-ratelimit-limit-requests')).toBe('1');
    expect(headers.get('x-ratelimit-remaining-requests')).toBe('0');
    expect(headers.get('x-ratelimit-reset-requests')).toBe('1m0s');
    expect(headers.get('x-ratelimit-limit-tokens')).toBe('1000');
    const error = await ask().then(
      () => undefined,
      (thrown: unknown) => thrown as InstanceType<typeof RateLimitError>,
    );
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error!.message).toContain('key `ci`');
    expect(error!.message).toContain('1 request in any 60 s');
    expect(Number(error!.headers.get('retry-after'))).toBeLessThanOrEqual(60);
    expect(seen('up')).toBe(1);
  });

  test('waits as long as it is told, and is served', async () => {
    const { box, play, seen } = await serve('{ concurrent: 1 }');
    play(() => [{ waitMs: 300 }, ...answered()]);
    const { ask } = client(box.url, 2);
    const from = performance.now();
    const [first, second] = await Promise.all([ask(), ask()]);
    expect(performance.now() - from).toBeGreaterThan(1_000);
    expect([first, second].map(({ headers }) => headers.get('x-signalbox-attempts'))).toEqual(['1', '1']);
    expect(seen('up')).toBe(2);
  });

  test('does not ask again where nothing is allowed', async () => {
    const { box } = await serve('{ rpm: 0 }');
    const from = performance.now();
    await expect(client(box.url, 5).ask()).rejects.toBeInstanceOf(RateLimitError);
    expect(performance.now() - from).toBeLessThan(1_000);
  });
});
