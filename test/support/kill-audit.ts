/** Signalbox killed again and again under load, and what its ledger says afterwards against what clients got and the provider billed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { Agent } from 'undici';

import { openStore } from '../../src/store/sql/open.ts';
import { type BillingUpstream, billOf, startBillingUpstream } from './billing-upstream.ts';
import { type Answer, PRICE, askBox, linesOf, startBudgetBox } from './budget-box.ts';
import type { Signalbox } from './signalbox.ts';

export interface Audit {
  kills: number;
  /** Answers that clients got whole; those of them that the log does not know, or knows otherwise than the provider. */
  completed: number;
  lost: number;
  wrong: number;
  /** Killed between the last byte of an answer and its record: present, and flagged as interrupted. */
  cutShort: number;
  /** Requests under way that the provider billed; those of them without a line, without a flag, and above what was reserved for them. */
  interrupted: number;
  missing: number;
  unflagged: number;
  above: number;
  /** Differences between counters and records, and between the sum of the key and its lines, nano-USD. */
  differences: number;
  off: number;
  /** From the start of the process to its ready line, milliseconds. */
  slowestStartMs: number;
}

const WIDTH = 40;
const BUDGET = '{ limit_usd: 1000000, window: total }';

export async function auditKills(
  kills: number,
  { seed, sync }: { seed: number; sync: 'off' | 'interval' | 'always' },
): Promise<Audit> {
  const upstream = await startBillingUpstream();
  const home = mkdtempSync(join(tmpdir(), 'signalbox-kills-'));
  const dataDir = join(home, 'data');
  const random = dice(seed);
  const answers = new Map<string, Answer>();
  let slowestStartMs = 0;
  const start = async (): Promise<Signalbox> => {
    const from = performance.now();
    const more = `ledger: { sync: ${sync} }`;
    const box = await startBudgetBox(upstream, { workers: 2, budget: BUDGET, more, dataDir });
    slowestStartMs = Math.max(slowestStartMs, performance.now() - from);
    return box;
  };
  try {
    let box = await start();
    for (let round = 0; round < kills; round++) {
      const agent = new Agent({ connections: WIDTH });
      const stopped = new AbortController();
      const before = answers.size;
      const loads = load(box, agent, { round, random, answers, stopped: stopped.signal });
      // The moment is random, whatever the pace of the machine: its clock starts with the first answer.
      while (answers.size === before) await delay(5);
      await delay(100 + 900 * random());
      await box.kill();
      stopped.abort();
      await loads;
      await agent.destroy();
      box = await start();
    }
    await upstream.idle();
    await box.stop();
    return { kills, slowestStartMs, ...(await compare(dataDir, upstream, answers)) };
  } finally {
    await upstream.close();
    rmSync(home, { recursive: true, force: true });
  }
}

interface Load {
  round: number;
  random: () => number;
  answers: Map<string, Answer>;
  stopped: AbortSignal;
}

/** Whole answers of a few milliseconds, and streams of a second. */
async function load(box: Signalbox, agent: Agent, { round, random, answers, stopped }: Load): Promise<void> {
  let next = 0;
  const lane = async (_: unknown, at: number): Promise<void> => {
    while (!stopped.aborted) {
      const id = `r${round}-${next++}`;
      const stream = at % 2 === 0;
      const play = stream ? { tokens: 20 + Math.floor(200 * random()), msPerToken: 5 } : { tokens: 30, waitMs: 30 * random() };
      answers.set(id, await askBox(box, agent, { id, stream, play, over: { max_tokens: 300 } }));
    }
  };
  await Promise.all(Array.from({ length: WIDTH }, lane));
}

function isWhole({ status, text }: Answer): boolean {
  return status === 200 && (text.startsWith('{') ? text.endsWith('}') : text.includes('[DONE]'));
}

async function compare(
  dataDir: string,
  upstream: BillingUpstream,
  answers: Map<string, Answer>,
): Promise<Omit<Audit, 'kills' | 'slowestStartMs'>> {
  const store = await openStore(join(dataDir, 'store.db'));
  try {
    const lines = await linesOf(store);
    const [spent = 0] = await store.ledger.spentSince([{ scope: 'key:k', sinceMs: 0 }]);
    const found = { completed: 0, lost: 0, wrong: 0, cutShort: 0, interrupted: 0, missing: 0, unflagged: 0, above: 0 };
    for (const bill of upstream.bills) {
      const line = lines.get(bill.id);
      const answer = answers.get(bill.id);
      const nanoUsd = billOf(bill, PRICE);
      if (answer !== undefined && isWhole(answer)) {
        found.completed++;
        if (line === undefined) found.lost++;
        else if (line.outcome === 'interrupted') found.cutShort++;
        else if (line.costNanoUsd !== nanoUsd || line.estimated) found.wrong++;
        continue;
      }
      found.interrupted++;
      if (line === undefined) found.missing++;
      else if (!line.estimated && line.costNanoUsd !== nanoUsd) found.unflagged++;
      else if ((line.costNanoUsd ?? 0) > bill.inputTokens * 2 * PRICE.input + 300 * PRICE.output + PRICE.input) found.above++;
    }
    const sum = [...lines.values()].reduce((total, line) => total + (line.costNanoUsd ?? 0), 0);
    const { differences } = await store.ledger.verify();
    return { ...found, differences: differences.length, off: spent - sum };
  } finally {
    await store.close();
  }
}

function dice(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}
