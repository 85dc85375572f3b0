/** Those behind the keys: told of always, limited and paid for where the operator wants it. */
import { afterEach, expect, test } from 'vitest';

import { exchangeLog } from '../support/exchange-log.ts';
import { type Answer, KEYS, type LimitsBox, answered, startLimitsBox, statuses, usage } from '../support/limits-box.ts';

const started: LimitsBox[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((each) => each.stop()));
});

async function serve(
  endUsers: string,
  { workers = 2, ...more }: { workers?: number; dataDir?: string } = {},
): Promise<LimitsBox> {
  const one = await startLimitsBox(
    (lab) => `
providers: { lab: { type: openai-compatible, base_url: "${lab}/v1", api_key: none } }
models:
  - { name: m, targets: [{ provider: lab, model: up, price: { input_usd_per_mtok: 1000, output_usd_per_mtok: 1000 } }] }
keys: [{ name: ci, key: "\${env:CI}" }]
telemetry: { log: { format: json } }
${endUsers}
`,
    { workers, ...more },
  );
  started.push(one);
  return one;
}

test('named in a header, in `user` or in `metadata.user_id`, each has his own limit over all workers', async () => {
  const { chat } = await serve('end_users: { header: X-End-User, limits: { rpm: 10 } }', { workers: 4 });
  const many = (ask: () => Promise<Answer>): Promise<Answer[]> => Promise.all(Array.from({ length: 40 }, ask));
  const [ann, bob, eve, nobody] = await Promise.all([
    many(() => chat(KEYS.CI, { user: 'ann' })),
    many(() => chat(KEYS.CI, { user: 'ann' }, { headers: { 'x-end-user': 'bob' } })),
    many(() => chat(KEYS.CI, { max_tokens: 5, metadata: { user_id: 'eve', more: 1 } }, { path: '/v1/messages' })),
    many(() => chat(KEYS.CI)),
  ]);
  expect([ann, bob, eve, nobody].map(statuses)).toEqual([
    { 200: 10, 429: 30 },
    { 200: 10, 429: 30 },
    { 200: 10, 429: 30 },
    { 200: 40 },
  ]);
  const refused = await chat(KEYS.CI, { user: 'ann' });
  expect(refused.body.error!.message).toContain('end user `ann`');
  expect((await chat(KEYS.CI, { user: 'eve' })).status).toBe(429);
});

test('as many as may be live have their own; all others share one', async () => {
  const { chat } = await serve('end_users: { max_live: 3, limits: { rpm: 2 } }', { workers: 4 });
  for (const user of ['a', 'b', 'c']) expect((await chat(KEYS.CI, { user })).status).toBe(200);
  const others = await Promise.all(Array.from({ length: 20 }, (_, index) => chat(KEYS.CI, { user: `new-${index}` })));
  expect(statuses(others)).toEqual({ 200: 2, 429: 18 });
  expect(others.find(({ status }) => status === 429)!.body.error!.message).toContain('end user `other`');
  for (const user of ['a', 'b', 'c']) {
    const answers = [await chat(KEYS.CI, { user }), await chat(KEYS.CI, { user })];
    expect(answers.map(({ status }) => status)).toEqual([200, 429]);
  }
});

test('without limits they are only told of: in the log, by a name of bounded length', async () => {
  const { chat, box } = await serve('');
  const log = exchangeLog(box);
  const long = `user_${'0123456789abcdef'.repeat(20)}`;
  for (const user of ['ann', long, `${long}!`]) expect((await chat(KEYS.CI, { user })).status).toBe(200);
  await expect.poll(() => log.lines().filter((line) => line['msg'] === 'exchange').length).toBe(3);
  const named = log.lines().flatMap((line) => (line['msg'] === 'exchange' ? [String(line['end_user'])] : []));
  expect(named[0]).toBe('ann');
  expect(named[1]).toMatch(/^user_0123456789abcdef.*~[0-9a-f]{16}$/);
  expect(named.map(({ length }) => length)).toEqual([3, 128, 128]);
  expect(named[1]).not.toBe(named[2]);
});

test('a budget for each: spent by one, open to the other, and remembered when all is started anew', async () => {
  const endUsers = 'end_users: { budget: { limit_usd: 1, window: day } }';
  const { chat, play, box } = await serve(endUsers);
  play(() => answered(usage(100, 100)));
  const spend = async (user: string): Promise<number[]> => {
    const answers = [];
    for (let each = 0; each < 8; each++) answers.push((await chat(KEYS.CI, { user, max_tokens: 100 })).status);
    return answers;
  };
  // 0.20 USD each, bounded by somewhat more before it is known.
  const [ann, bob] = [await spend('ann'), await spend('bob')];
  for (const answers of [ann, bob]) {
    expect(answers.filter((status) => status === 200).length).toBeGreaterThanOrEqual(3);
    expect(answers.filter((status) => status === 200).length).toBeLessThanOrEqual(5);
    expect(answers.at(-1)).toBe(429);
  }
  await box.kill();
  const again = await serve(endUsers, { dataDir: box.dataDir });
  expect((await again.chat(KEYS.CI, { user: 'ann', max_tokens: 100 })).status).toBe(429);
  expect((await again.chat(KEYS.CI, { user: 'new', max_tokens: 100 })).status).toBe(200);
});
