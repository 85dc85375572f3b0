/** Budgets through the running product: what is refused, what is lowered, and that nothing is ever overspent. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { Agent, request } from 'undici';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { type Bill, type BillingUpstream, billOf, startBillingUpstream } from '../support/billing-upstream.ts';
import {
  type Answer,
  type AskOptions,
  type BoxOptions,
  ENV,
  KEY,
  PRICE,
  allAtOnce,
  askBox,
  bodyOf,
  configOf,
  readBooks,
  startBudgetBox,
} from '../support/budget-box.ts';
import { INSPECTED, killWorker } from '../support/kill-worker.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

let upstream: BillingUpstream;
let home: string;
let box: Signalbox | undefined;
let dispatcher: Agent;

beforeAll(async () => {
  upstream = await startBillingUpstream();
});
afterAll(() => upstream.close());
afterEach(async () => {
  await dispatcher.destroy();
  await box?.stop();
  box = undefined;
  rmSync(home, { recursive: true, force: true });
  await upstream.idle();
  upstream.bills.length = 0;
});

async function begin(options: Partial<BoxOptions>): Promise<Signalbox> {
  home = mkdtempSync(join(tmpdir(), 'signalbox-budget-'));
  dispatcher = new Agent({ connections: 64 });
  box = await startBudgetBox(upstream, { workers: 1, ...options, dataDir: join(home, 'data') });
  return box;
}

const usd = (nanoUsd: number): string => (nanoUsd / 1e9).toFixed(9);
const hard = (nanoUsd: number, more = ''): string => `{ limit_usd: ${usd(nanoUsd)}, window: total${more} }`;
const billed = (bills: readonly Bill[]): number => bills.reduce((sum, bill) => sum + billOf(bill, PRICE), 0);

/** Stops the box, waits for the provider's last token, and reads the ledger. */
async function booksOf(running: Signalbox) {
  await running.stop();
  await upstream.idle();
  const books = await readBooks(join(home, 'data'));
  expect(books.differences).toBe(0);
  return books;
}

/** Nano-USD that a question reserves: half its bytes and all of its cap. */
function boundOf(options: AskOptions, capTokens: number): number {
  return Math.ceil(bodyOf(options).length / 2) * PRICE.input + capTokens * PRICE.output;
}

/** Until it is answered, or the budget is gone: who is told that money is only reserved comes again at once. */
async function untilDecided(running: Signalbox, options: AskOptions): Promise<Answer> {
  for (;;) {
    const answer = await askBox(running, dispatcher, options);
    if (answer.code !== 'budget_reserved') return answer;
    expect(Number(answer.headers['retry-after'])).toBeLessThanOrEqual(5);
    await delay(150);
  }
}

describe.each([1, 4])('1,000 at once against a budget for 100, %i workers', (workers) => {
  it('admits no more, and nearly as many', async () => {
    const options = { over: { max_tokens: 100 }, play: { waitMs: 8_000 } };
    const limit = 100 * boundOf(options, 100);
    const running = await begin({ workers, budget: hard(limit) });
    const before = upstream.seen();
    const answers = await allAtOnce(running, 1_000, () => options);
    const count = (status: number): number => answers.filter((answer) => answer.status === status).length;
    expect(count(200) + count(429)).toBe(1_000);
    expect(upstream.seen() - before).toBe(count(200));
    expect(count(200)).toBeLessThanOrEqual(100);
    expect(count(200)).toBeGreaterThanOrEqual(90);
    expect(new Set(answers.filter(({ status }) => status === 429).map(({ code }) => code))).toEqual(new Set(['budget_reserved']));
    const { spent } = await booksOf(running);
    expect(spent).toBe(billed(upstream.bills));
  });
});

describe('no more than the budget is ever billed', () => {
  const ANSWER = 40;
  // What a hundred answers cost in fact; their bounds are far more.
  const limitFor = (options: AskOptions): number =>
    100 * (Math.ceil(bodyOf(options).length / 4) * PRICE.input + ANSWER * PRICE.output);

  it.each<[string, AskOptions, Partial<BoxOptions>]>([
    ['without a cap', { play: { tokens: ANSWER } }, {}],
    ['with four choices', { over: { n: 4, max_tokens: 10 }, play: { tokens: 10 } }, {}],
    [
      'with reasoning that nobody sees',
      { over: { max_tokens: 200 }, play: { reasoning: 30, tokens: 10 } },
      { model: ', capabilities: [reasoning]' },
    ],
    ['streamed', { stream: true, over: { max_tokens: 60 }, play: { tokens: ANSWER } }, {}],
  ])('%s', async (_, options, more) => {
    const limit = limitFor(options);
    const running = await begin({ workers: 4, budget: hard(limit), ...more });
    const answers = await Promise.all(Array.from({ length: 200 }, () => untilDecided(running, options)));
    const served = answers.filter(({ status }) => status === 200).length;
    expect(served).toBeLessThanOrEqual(100);
    expect(served).toBeGreaterThanOrEqual(90);
    expect(answers.every(({ status, code }) => status === 200 || code === 'budget_exceeded')).toBe(true);
    const { spent } = await booksOf(running);
    expect(spent).toBe(billed(upstream.bills));
    expect(spent).toBeLessThanOrEqual(limit);
  });

  it('where clients leave at any moment, hidden reasoning included', async () => {
    const options: AskOptions = { over: { max_tokens: 100 }, play: { reasoning: 40, tokens: 60, waitMs: 20, msPerToken: 4 } };
    const limit = 40 * boundOf(options, 100);
    const running = await begin({ workers: 4, budget: hard(limit), model: ', capabilities: [reasoning]' });
    await Promise.all(
      Array.from({ length: 200 }, (_, index) => {
        const leaves = index % 3 === 0 ? {} : { leaveMs: 5 + ((index * 37) % 500) };
        return untilDecided(running, { ...options, stream: index % 2 === 0, ...leaves });
      }),
    );
    const { spent } = await booksOf(running);
    expect(billed(upstream.bills)).toBeLessThanOrEqual(limit);
    expect(spent).toBeLessThanOrEqual(limit);
    expect(spent).toBeGreaterThanOrEqual(billed(upstream.bills));
  });

  it('where the price changes under way', async () => {
    const options: AskOptions = { over: { max_tokens: 100 }, play: { tokens: 100, waitMs: 600 } };
    const limit = 100 * boundOf(options, 100);
    const running = await begin({ workers: 2, budget: hard(limit) });
    const before = Array.from({ length: 40 }, () => askBox(running, dispatcher, options));
    await delay(300);
    const dearer = '{ input_usd_per_mtok: 20, cache_read_usd_per_mtok: 2, output_usd_per_mtok: 200 }';
    await running.reload(configOf(upstream, { workers: 2, budget: hard(limit), price: dearer }));
    const first = await Promise.all(before);
    const then = await Promise.all(
      Array.from({ length: 100 }, () => untilDecided(running, { ...options, play: { tokens: 100 } })),
    );
    expect(first.map(({ status }) => status)).toEqual(Array.from({ length: 40 }, () => 200));
    const old = billed(upstream.bills.slice(0, 40));
    const { spent } = await booksOf(running);
    expect(spent).toBe(old + 2 * billed(upstream.bills.slice(40)));
    expect(spent).toBeLessThanOrEqual(limit);
    expect(then.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(25);
  });
});

describe('a cap that does not fit', () => {
  const options: AskOptions = { over: { max_tokens: 10_000 }, play: { tokens: 5_000 } };

  it('is lowered, and said so', async () => {
    const running = await begin({ budget: hard(boundOf(options, 700)) });
    const answer = await askBox(running, dispatcher, options);
    expect(answer.status).toBe(200);
    expect(answer.headers['x-signalbox-warnings']).toMatch(/max_tokens: lowered to 700 tokens/);
    expect(upstream.bills).toMatchObject([{ cap: 700, outputTokens: 700 }]);
    expect(await booksOf(running)).toMatchObject({ spent: billed(upstream.bills) });
  });

  it('is refused below 256', async () => {
    const running = await begin({ budget: hard(boundOf(options, 255)) });
    const answer = await askBox(running, dispatcher, options);
    expect(answer).toMatchObject({ status: 429, code: 'budget_exceeded' });
    expect(answer.headers['x-should-retry']).toBe('false');
    expect(answer.text).toMatch(/budget of key `k` is used up.*does not begin anew/);
    // What asks for little still fits.
    expect(await askBox(running, dispatcher, { over: { max_tokens: 50 } })).toMatchObject({ status: 200 });
  });

  it('is set where there was none', async () => {
    const running = await begin({ budget: hard(1e9) });
    const answer = await askBox(running, dispatcher, { play: { tokens: 10 } });
    expect(answer.headers['x-signalbox-warnings']).toMatch(/limited to 4096 tokens/);
    expect(upstream.bills).toMatchObject([{ cap: 4_096, outputTokens: 10 }]);
  });

  it('is lowered to what the model is said to write at most, since nobody else may hold it to that', async () => {
    const running = await begin({ budget: hard(1e9), model: ', max_output_tokens: 300' });
    const answer = await askBox(running, dispatcher, options);
    expect(answer.headers['x-signalbox-warnings']).toBeUndefined();
    expect(upstream.bills).toMatchObject([{ cap: 300, outputTokens: 300 }]);
    expect(await booksOf(running)).toMatchObject({ spent: billed(upstream.bills) });
  });

  it('is lowered in a translation too', async () => {
    const running = await begin({ budget: hard(20 * PRICE.output * 20) });
    const body = JSON.stringify({ model: 'm', max_tokens: 5_000, messages: [{ role: 'user', content: 'hello' }] });
    const answer = await request(`${running.url}/v1/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': KEY },
      body,
    });
    expect(answer.headers['x-signalbox-warnings']).toMatch(/max_tokens: lowered to 39\d tokens/);
    expect(((await answer.body.json()) as { type: string }).type).toBe('message');
    expect(upstream.bills[0]!.cap).toBeLessThan(400);
    expect((await booksOf(running)).spent).toBe(billed(upstream.bills));
  });

  it('is none where the model has a maximum', async () => {
    const running = await begin({ budget: hard(1e9), model: ', max_output_tokens: 300' });
    expect((await askBox(running, dispatcher, { play: { tokens: 10 } })).headers).not.toHaveProperty('x-signalbox-warnings');
    expect(upstream.bills).toMatchObject([{ cap: undefined }]);
  });
});

describe('what cannot be priced', () => {
  it('is refused under a hard budget, on every surface', async () => {
    const running = await begin({ budget: hard(1e9) });
    const tools = [{ type: 'code_interpreter' }];
    expect(await askBox(running, dispatcher, { over: { tools } })).toMatchObject({ status: 403, code: 'budget_unenforceable' });
    expect(await askBox(running, dispatcher, { over: { service_tier: 'priority' } })).toMatchObject({ status: 403 });
    expect(await askBox(running, dispatcher, { over: { tools: [{ type: 'function', function: { name: 'f' } }] } })).toMatchObject(
      { status: 200 },
    );
  });

  it.each([
    ['ceiling', 403],
    ['block', 403],
    ['allow', 200],
  ])('a model that nobody has priced: %s', async (unpriced, status) => {
    const config = configOf(upstream, { workers: 1, budget: hard(1e9, `, unpriced: ${unpriced}`) }).replace(
      /, price: \{[^}]*\}/,
      '',
    );
    home = mkdtempSync(join(tmpdir(), 'signalbox-budget-'));
    dispatcher = new Agent();
    box = await startSignalbox({ config, env: ENV });
    expect(await askBox(box, dispatcher)).toMatchObject({ status, ...(status === 403 && { code: 'budget_unenforceable' }) });
  });

  it('counts by the dearest price of its provider, where a list knows one', async () => {
    const config = configOf(upstream, { workers: 1, budget: hard(1e9) })
      .replace('type: openai-compatible', 'type: openai')
      .replace(/, price: \{[^}]*\}/, '');
    home = mkdtempSync(join(tmpdir(), 'signalbox-budget-'));
    dispatcher = new Agent();
    box = await startSignalbox({ config, env: ENV, dataDir: join(home, 'data') });
    const answer = await askBox(box, dispatcher, { over: { max_tokens: 20 }, play: { tokens: 20 } });
    expect(answer.status).toBe(200);
    expect(answer.headers).not.toHaveProperty('x-signalbox-cost-usd');
    const { spent } = await booksOf(box);
    // More than 100 USD per million output tokens: nobody's price is that high for an ordinary model.
    expect(spent).toBeGreaterThan(20 * 100_000);
  });

  it('free is free, whatever is spent', async () => {
    const running = await begin({ budget: hard(0), price: 'free' });
    expect(await askBox(running, dispatcher)).toMatchObject({ status: 200 });
  });
});

describe('budgets of several scopes', () => {
  it('all must fit, the model’s and the provider’s too, and a lowered limit acts at once', async () => {
    const options: AskOptions = { over: { max_tokens: 20 }, play: { tokens: 20 } };
    const one = boundOf(options, 20);
    const config = (provider: number): string =>
      configOf(upstream, { workers: 2, budget: hard(100 * one), model: `, budget: { limit_usd: ${usd(50 * one)} }` }).replace(
        'api_key: none }',
        `api_key: none, budget: { limit_usd: ${usd(provider)}, window: day } }`,
      );
    home = mkdtempSync(join(tmpdir(), 'signalbox-budget-'));
    dispatcher = new Agent();
    box = await startSignalbox({ config: config(30 * one), env: ENV, dataDir: join(home, 'data') });
    for (let count = 0; count < 5; count++) expect(await askBox(box, dispatcher, options)).toMatchObject({ status: 200 });
    await box.reload(config(one));
    const refused = await askBox(box, dispatcher, options);
    expect(refused).toMatchObject({ status: 429, code: 'budget_exceeded' });
    expect(refused.text).toMatch(/budget of the day of provider `lab`.*begins anew at \d{4}-\d\d-\d\dT/);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    await box.reload(config(30 * one));
    expect(await askBox(box, dispatcher, options)).toMatchObject({ status: 200 });
  });

  it('know what was spent while they were not there', async () => {
    const options: AskOptions = { over: { max_tokens: 20 }, play: { tokens: 20 } };
    const withBudget = { workers: 1, budget: hard(30 * boundOf(options, 20)) };
    const running = await begin(withBudget);
    expect(await askBox(running, dispatcher, options)).toMatchObject({ status: 200 });
    await running.reload(configOf(upstream, { workers: 1 }));
    for (let count = 0; count < 50; count++) expect(await askBox(running, dispatcher, options)).toMatchObject({ status: 200 });
    // Facts reach the store a moment later.
    await delay(2_000);
    await running.reload(configOf(upstream, withBudget));
    expect(await askBox(running, dispatcher, options)).toMatchObject({ status: 429, code: 'budget_exceeded' });
  });

  it('are loaded again after a restart', async () => {
    const options: AskOptions = { over: { max_tokens: 20 }, play: { tokens: 20 } };
    const limit = 3 * boundOf(options, 20);
    const running = await begin({ budget: hard(limit) });
    for (let count = 0; count < 2; count++) expect(await askBox(running, dispatcher, options)).toMatchObject({ status: 200 });
    await running.stop();
    box = await startBudgetBox(upstream, { workers: 1, budget: hard(limit), dataDir: join(home, 'data') });
    expect(await askBox(box, dispatcher, options)).toMatchObject({ status: 200 });
    expect(await askBox(box, dispatcher, options)).toMatchObject({ status: 429, code: 'budget_exceeded' });
    expect((await booksOf(box)).spent).toBe(billed(upstream.bills));
  });
});

describe('a worker that dies', () => {
  it('gives back what it had reserved, and its exchange is charged what it cost at least', async () => {
    const options: AskOptions = { over: { max_tokens: 400 }, play: { tokens: 400, waitMs: 60_000 } };
    const limit = Math.ceil(boundOf(options, 400) * 1.2);
    const running = await begin({ budget: hard(limit), env: INSPECTED });
    const lost = askBox(running, dispatcher, options);
    await expect
      .poll(() => askBox(running, dispatcher, options).then(({ code }) => code), { timeout: 10_000 })
      .toBe('budget_reserved');
    await killWorker(running);
    expect((await lost).status).toBe(0);
    const again = { over: { max_tokens: 400 }, play: { tokens: 10 } };
    await expect
      .poll(() => askBox(running, dispatcher, again).then(({ status }) => status), { timeout: 10_000, interval: 200 })
      .toBe(200);
    const { spent, entries } = await booksOf(running);
    expect(entries).toBe(2);
    const told = upstream.bills.find((bill) => bill.told);
    const floor = spent - billOf(told!, PRICE);
    expect(floor).toBeGreaterThan(0);
    expect(floor).toBeLessThan(boundOf(options, 0));
  });
});

describe('stepped budgets', () => {
  it('pay for streams step by step, and end them with an error in the stream', async () => {
    const options: AskOptions = { stream: true, over: { max_tokens: 100_000 }, play: { tokens: 20_000, msPerToken: 1 } };
    const input = Math.ceil(bodyOf(options).length / 2) * PRICE.input;
    const step = 2_048 * PRICE.output;
    // An answer before it teaches how many bytes a token has.
    const limit = input * 2 + 3 * step;
    const running = await begin({ budget: hard(limit, ', mode: stepped') });
    expect(await askBox(running, dispatcher, { ...options, play: { tokens: 50 } })).toMatchObject({ status: 200 });
    const answer = await askBox(running, dispatcher, options);
    expect(answer.status).toBe(200);
    expect(answer.text).toMatch(/budget_exceeded/);
    expect(answer.text).not.toContain('[DONE]');
    const { spent } = await booksOf(running);
    const [, long] = upstream.bills;
    expect(long!.outputTokens).toBeGreaterThan(2 * 2_048);
    // One step at most above what was paid for.
    expect(billed(upstream.bills)).toBeLessThanOrEqual(limit + step);
    expect(spent).toBeLessThanOrEqual(limit);
  });

  it('let a stream that fits go through', async () => {
    const options: AskOptions = { stream: true, over: { max_tokens: 100_000 }, play: { tokens: 3_000, msPerToken: 0.2 } };
    const running = await begin({ budget: hard(10_000 * PRICE.output, ', mode: stepped') });
    await askBox(running, dispatcher, { ...options, play: { tokens: 50 } });
    const answer = await askBox(running, dispatcher, options);
    expect(answer.text).toContain('[DONE]');
    expect(upstream.bills[1]).toMatchObject({ outputTokens: 3_000, cap: 100_000 });
    expect((await booksOf(running)).spent).toBe(billed(upstream.bills));
  });

  it('are strict for answers that come at once', async () => {
    const options: AskOptions = { over: { max_tokens: 10_000 } };
    const running = await begin({ budget: hard(boundOf(options, 400), ', mode: stepped') });
    expect((await askBox(running, dispatcher, options)).headers['x-signalbox-warnings']).toMatch(/lowered to 400/);
  });
});

describe('events', () => {
  it('tell of thresholds once, and of refusals', async () => {
    const options: AskOptions = { over: { max_tokens: 20 }, play: { tokens: 20 } };
    const cost = Math.ceil(bodyOf(options).length / 4) * PRICE.input + 20 * PRICE.output;
    const soft = `, budget: { limit_usd: ${usd(cost * 3)}, window: day, hard: false }`;
    const running = await begin({ budget: hard(cost * 5), model: soft });
    for (let count = 0; count < 6; count++) await untilDecided(running, options);
    const told = (): string[] =>
      running
        .stderr()
        .split('\n')
        .filter((line) => line.includes('budget.'))
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .map((line) => JSON.stringify(line));
    await expect.poll(() => told().some((line) => line.includes('budget.exceeded')), { timeout: 5_000 }).toBe(true);
    const all = told();
    expect(all.filter((line) => line.includes('budget.soft_exceeded') && line.includes('model:m'))).toHaveLength(1);
    expect(all.filter((line) => line.includes('budget.threshold') && line.includes('model:m'))).toHaveLength(1);
    expect(all.filter((line) => line.includes('budget.threshold') && line.includes('key:k'))).toHaveLength(1);
  });
});
