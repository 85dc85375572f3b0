/** 1,000 calls at once against a limit of 100, a hundred times over, with clients that leave at random moments. `ROUNDS` shortens it. */
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, describe, expect, test } from 'vitest';

import { type LimitsBox, answered, startLimitsBox, statuses } from '../support/limits-box.ts';

const ROUNDS = Number(process.env['ROUNDS'] ?? 100);
const CALLS = 1_000;
const LIMIT = 100;
const keyOf = (round: number): string => `race-key-number-${String(round).padStart(4, '0')}`;

let running: LimitsBox | undefined;
afterEach(() => running?.stop());

/** A fresh key for each round, and what the upstream sees of it by the model's name. */
async function serve(workers: number, limits: string): Promise<LimitsBox> {
  const env = Object.fromEntries(Array.from({ length: ROUNDS }, (_, round) => [`KEY_${round}`, keyOf(round)]));
  const keys = Object.keys(env).map((name, round) => `  - { name: k${round}, key: "\${env:${name}}", limits: ${limits} }`);
  running = await startLimitsBox(
    (lab) => `
providers: { lab: { type: openai-compatible, base_url: "${lab}/v1", api_key: none } }
models: [{ name: "lab/*", targets: [{ provider: lab, model: "*" }] }]
keys:
${keys.join('\n')}
telemetry: { log: { level: error } }
`,
    { workers, env },
  );
  return running;
}

/** One call; `left`: its client did not wait. */
async function call({ chat }: LimitsBox, round: number, leavesAfterMs: number | undefined): Promise<{ status: number }> {
  const leaving = new AbortController();
  if (leavesAfterMs !== undefined) void sleep(leavesAfterMs).then(() => leaving.abort());
  try {
    return await chat(keyOf(round), { model: `lab/r${round}`, max_tokens: 5 }, { signal: leaving.signal });
  } catch {
    return { status: 0 };
  }
}

describe.each([1, 4])('%i workers', (workers) => {
  test('requests: never more than 100, and all 100 where nobody leaves', async () => {
    const box = await serve(workers, `{ rpm: ${LIMIT} }`);
    for (let round = 0; round < ROUNDS; round++) {
      const leaves = round % 2 === 1;
      const calls = Array.from({ length: CALLS }, () =>
        call(box, round, leaves && Math.random() < 0.2 ? Math.random() * 400 : undefined),
      );
      const counts = statuses(await Promise.all(calls));
      const seen = box.seen(`r${round}`);
      expect(seen).toBeLessThanOrEqual(LIMIT);
      if (!leaves) expect([counts[200], counts[429], seen]).toEqual([LIMIT, CALLS - LIMIT, LIMIT]);
      // Who left before anything was sent for him gave his place back, to nobody if none came after.
      else expect(seen).toBeGreaterThanOrEqual(0.9 * LIMIT);
    }
  });

  test('calls at once: never more than 100 at the upstream, 90 at least, and all places free in the end', async () => {
    const box = await serve(workers, `{ concurrent: ${LIMIT} }`);
    const now = new Map<string, number>();
    const most = new Map<string, number>();
    const add = (model: string, by: number): void => {
      now.set(model, (now.get(model) ?? 0) + by);
      most.set(model, Math.max(most.get(model) ?? 0, now.get(model)!));
    };
    box.play((model) => [{ run: () => add(model, 1) }, { waitMs: 2_000 }, { run: () => add(model, -1) }, ...answered()]);
    const rounds = Math.ceil(ROUNDS / 4);
    for (let round = 0; round < rounds; round++) {
      const leaves = round % 2 === 1;
      const calls = Array.from({ length: CALLS }, () =>
        call(box, round, leaves && Math.random() < 0.2 ? Math.random() * 1_200 : undefined),
      );
      await Promise.all(calls);
      // The upstream's script goes on for who has left.
      if (!leaves) expect(most.get(`r${round}`)).toBeLessThanOrEqual(LIMIT);
      if (!leaves) expect(most.get(`r${round}`)).toBeGreaterThanOrEqual(0.9 * LIMIT);
    }
    for (let round = 0; round < rounds; round++) {
      const after = await Promise.all(Array.from({ length: LIMIT }, () => call(box, round, undefined)));
      expect(statuses(after)).toEqual({ 200: LIMIT });
    }
  });
});
