/** Mixed exchanges against a provider that keeps its own bill, and how far the ledger is from it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Agent } from 'undici';

import { openStore } from '../../src/store/sql/open.ts';
import { type Play, billOf, startBillingUpstream } from './billing-upstream.ts';
import { type AskOptions, ENV, PRICE, askBox, configOf, linesOf } from './budget-box.ts';
import { startSignalbox } from './signalbox.ts';

export interface Truth {
  exchanges: number;
  /** In the request log. */
  lines: number;
  /** Nano-USD of the key without a hard budget. */
  billed: number;
  booked: number;
  /** Bills of which the log knows nothing; those that differ from what was charged; those of them that are not flagged as estimates. */
  missing: number;
  different: number;
  unflagged: number;
  /** Of the key with a strict budget, which is too small for its share. */
  strict: { limit: number; billed: number; booked: number };
}

const STRICT_KEY = 'strict-key-0123456789abcdef';
const WIDTH = 100;

/** `count` exchanges, a fifth of them by the key with the strict budget. */
export async function measureTruth(count: number, seed: number): Promise<Truth> {
  const upstream = await startBillingUpstream();
  const home = mkdtempSync(join(tmpdir(), 'signalbox-truth-'));
  const dataDir = join(home, 'data');
  const dispatcher = new Agent({ connections: WIDTH });
  const limit = count * 2_000_000;
  const strict = `  - { name: s, key: "\${env:STRICT}", budget: { limit_usd: ${(limit / 1e9).toFixed(9)}, window: total } }\nadmin:`;
  const config = configOf(upstream, { workers: 2 })
    .replace('  - { name: m,', `${THINKER}  - { name: m,`)
    .replace('admin:', strict);
  const listed = config.replace(/^keys: \[(.*)\]$/m, 'keys:\n  - $1');
  const box = await startSignalbox({
    config: listed.replace('level: info', 'level: error'),
    env: { ...ENV, STRICT: STRICT_KEY },
    dataDir,
  });
  try {
    const random = dice(seed);
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < count) {
        const index = next++;
        const isStrict = index % 5 === 4;
        await askBox(box, dispatcher, {
          ...mixed(random),
          id: `${isStrict ? 's' : 'k'}-${index}`,
          ...(isStrict && { key: STRICT_KEY }),
        });
      }
    };
    await Promise.all(Array.from({ length: WIDTH }, lane));
    await upstream.idle();
    await box.stop();
    return await compare(dataDir, { upstream, count, limit });
  } finally {
    await dispatcher.destroy();
    await box.stop();
    await upstream.close();
    rmSync(home, { recursive: true, force: true });
  }
}

const THINKER = `  - { name: thinker, capabilities: [reasoning], targets: [{ provider: lab, model: t, price: { input_usd_per_mtok: 10, cache_read_usd_per_mtok: 1, output_usd_per_mtok: 100 } }] }\n`;

/** Most go well; some are left, cut, refused, silent about their usage, or think in secret. */
function mixed(random: () => number): AskOptions {
  const tokens = Math.round(Math.exp(3 + 3 * random()));
  const play: Play = { tokens, waitMs: 20 + 60 * random(), msPerToken: 2 + 2 * random(), cached: random() < 0.5 ? 0.6 : 0 };
  const stream = random() < 0.7;
  const words = 'A sentence of the question, as people write them. '.repeat(Math.ceil(40 * random()));
  const over = {
    messages: [{ role: 'user', content: words }],
    ...(random() < 0.6 && { max_tokens: 500 }),
    ...(random() < 0.1 && { n: 2 }),
  };
  const options: AskOptions = { stream, play, over };
  const fate = random();
  if (fate < 0.08) return { ...options, leaveMs: 20 + 600 * random() };
  if (fate < 0.11) return { ...options, stream: true, play: { ...play, cutAt: Math.floor(tokens * random()) } };
  if (fate < 0.15) return { ...options, play: { ...play, status: random() < 0.5 ? 429 : 503 } };
  if (fate < 0.17) return { ...options, play: { ...play, silent: true } };
  if (fate < 0.27) return { ...options, play: { ...play, reasoning: 100 }, over: { ...over, model: 'thinker' } };
  return options;
}

interface Compared {
  upstream: Awaited<ReturnType<typeof startBillingUpstream>>;
  count: number;
  limit: number;
}

async function compare(dataDir: string, { upstream, count, limit }: Compared): Promise<Truth> {
  const store = await openStore(join(dataDir, 'store.db'));
  try {
    const [booked = 0, strictBooked = 0] = await store.ledger.spentSince([
      { scope: 'key:k', sinceMs: 0 },
      { scope: 'key:s', sinceMs: 0 },
    ]);
    const { differences } = await store.ledger.verify();
    if (differences.length > 0) throw new Error(`counters are not the sums of their records: ${JSON.stringify(differences[0])}`);
    const lines = await linesOf(store);
    const billed = { k: 0, s: 0 };
    const wrong = { different: 0, unflagged: 0, missing: 0 };
    for (const bill of upstream.bills) {
      const nanoUsd = billOf(bill, PRICE);
      billed[bill.id[0] as 'k' | 's'] += nanoUsd;
      const line = lines.get(bill.id);
      if (line === undefined) wrong.missing++;
      else if (line.costNanoUsd !== nanoUsd) {
        wrong.different++;
        if (!line.estimated) wrong.unflagged++;
      }
    }
    const strict = { limit, billed: billed.s, booked: strictBooked };
    return { exchanges: count, lines: lines.size, billed: billed.k, booked, ...wrong, strict };
  } finally {
    await store.close();
  }
}

function dice(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}
