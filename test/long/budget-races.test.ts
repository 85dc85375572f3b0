/** A thousand at once against a budget for a hundred, a hundred rounds, with one worker and with four; `SIGNALBOX_ROUNDS` chooses another number. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { Agent } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type BillingUpstream, billOf, startBillingUpstream } from '../support/billing-upstream.ts';
import {
  type Answer,
  type AskOptions,
  ENV,
  PRICE,
  allAtOnce,
  askBox,
  bodyOf,
  configOf,
  readBooks,
} from '../support/budget-box.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

const ROUNDS = Number(process.env['SIGNALBOX_ROUNDS'] ?? 100);
const CAP = 100;

const boundOf = (options: AskOptions): number => Math.ceil(bodyOf(options).length / 2) * PRICE.input + CAP * PRICE.output;
const keyOf = (round: number): string => `race-key-of-round-${String(round).padStart(6, '0')}`;

/** Each round has a key of its own, with a budget of its own. */
function configFor(upstream: BillingUpstream, workers: number, limits: readonly number[]): string {
  const keys = limits.map(
    (limit, round) =>
      `  - { name: r${round}, key: "\${env:K${round}}", budget: { limit_usd: ${(limit / 1e9).toFixed(9)}, window: total } }`,
  );
  return configOf(upstream, { workers, model: ', capabilities: [reasoning]' })
    .replace(/^keys: .*$/m, `keys:\n${keys.join('\n')}`)
    .replace('level: info', 'level: error');
}

/** What the rounds differ in, beside the plain one; all of them are asked until they are served or the budget is gone. */
const KINDS: readonly ((index: number) => AskOptions)[] = [
  () => ({ play: { tokens: 40 } }),
  () => ({ over: { n: 4, max_tokens: 25 }, play: { tokens: 25 } }),
  () => ({ over: { max_tokens: CAP }, play: { reasoning: 60, tokens: 40 } }),
  (index) => ({
    stream: index % 2 === 0,
    over: { max_tokens: CAP },
    play: { reasoning: 30, tokens: 70, waitMs: 10, msPerToken: 2 },
    leaveMs: 5 + ((index * 37) % 300),
  }),
];

describe.each([1, 4])('%i workers', (workers) => {
  let upstream: BillingUpstream;
  let box: Signalbox;
  let home: string;
  const PLAIN: AskOptions = { over: { max_tokens: CAP }, play: { tokens: CAP, waitMs: 4_000 } };
  const mixedRounds = Math.ceil(ROUNDS / 5);
  const limits = [
    ...Array.from({ length: ROUNDS }, () => 100 * boundOf({ ...PLAIN, id: 'r000-0000' })),
    ...Array.from({ length: mixedRounds * KINDS.length }, () => 100 * boundOf(PLAIN)),
  ];

  beforeAll(async () => {
    upstream = await startBillingUpstream();
    home = mkdtempSync(join(tmpdir(), 'signalbox-races-'));
    const env = Object.fromEntries(limits.map((_, round) => [`K${round}`, keyOf(round)]));
    box = await startSignalbox({
      config: configFor(upstream, workers, limits),
      env: { ...ENV, ...env },
      dataDir: join(home, 'data'),
    });
  });
  afterAll(async () => {
    await box.stop();
    await upstream.close();
    rmSync(home, { recursive: true, force: true });
  });

  it(`${ROUNDS} rounds: never more than 100 admitted, at least 90`, async () => {
    const admitted: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const id = (index: number): string => `r${String(round).padStart(3, '0')}-${String(index).padStart(4, '0')}`;
      const answers = await allAtOnce(box, 1_000, (index) => ({ ...PLAIN, id: id(index), key: keyOf(round) }));
      admitted.push(answers.filter(({ status }) => status === 200).length);
      expect(answers.filter(({ code }) => code === 'budget_reserved').length + admitted.at(-1)!).toBe(1_000);
    }
    process.stdout.write(
      `${workers} workers: between ${Math.min(...admitted)} and ${Math.max(...admitted)} of 1,000 admitted in ${ROUNDS} rounds\n`,
    );
    expect(Math.max(...admitted)).toBeLessThanOrEqual(100);
    expect(Math.min(...admitted)).toBeGreaterThanOrEqual(90);
  }, 3_600_000);

  it.each(['no cap', 'four choices', 'hidden reasoning', 'leaving at any moment'].map((name, kind) => [name, kind] as const))(
    '%s: the bill never exceeds the budget',
    async (_, kind) => {
      for (let count = 0; count < mixedRounds; count++) {
        const round = ROUNDS + kind * mixedRounds + count;
        upstream.bills.length = 0;
        const dispatcher = new Agent({ connections: 200 });
        const decided = async (index: number): Promise<Answer> => {
          for (;;) {
            const answer = await askBox(box, dispatcher, { ...KINDS[kind]!(index), key: keyOf(round) });
            if (answer.code !== 'budget_reserved') return answer;
            await delay(20);
          }
        };
        await Promise.all(Array.from({ length: 400 }, (_, index) => decided(index)));
        await dispatcher.destroy();
        await upstream.idle();
        const billed = upstream.bills.reduce((sum, bill) => sum + billOf(bill, PRICE), 0);
        expect(billed).toBeLessThanOrEqual(limits[round]!);
        expect(billed).toBeGreaterThan(0);
      }
    },
    3_600_000,
  );

  it('the books agree with themselves', async () => {
    await box.stop();
    expect((await readBooks(join(home, 'data'))).differences).toBe(0);
  }, 120_000);
});
