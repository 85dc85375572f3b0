import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';

import { type StoreAnswer, type StoreClient, createStoreClient } from '../../src/runtime/store-rpc.ts';

const threads: Worker[] = [];
afterEach(async () => {
  for (const thread of threads.splice(0)) await thread.terminate();
});

/** Its one group is not of the store. */
interface Slow {
  slow: { query: (forMs: number) => Promise<number> };
  other: { query: () => Promise<void>; constructor: () => Promise<void> };
}

async function startClient(): Promise<{ client: StoreClient; slow: Slow; thread: Worker }> {
  const thread = new Worker(new URL('../fixtures/slow-store.ts', import.meta.url));
  threads.push(thread);
  await once(thread, 'online');
  const client = createStoreClient();
  thread.on('message', (answer: StoreAnswer) => client.take(answer));
  client.connect(thread);
  return { client, slow: client.store as unknown as Slow, thread };
}

test("a query of two seconds in the store's thread does not hold this one up", async () => {
  const { slow } = await startClient();
  await slow.slow.query(1);
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const took = await slow.slow.query(2_000);
  delay.disable();
  expect(took).toBeGreaterThanOrEqual(2_000);
  const p99Ms = delay.percentile(99) / 1e6 - 5;
  console.log(`loop delay p99 during a query of ${Math.round(took)} ms: ${p99Ms.toFixed(1)} ms`);
  // 20 ms is what we promise on a machine that does nothing else; here a hundredth and an order more for the neighbours.
  expect(p99Ms).toBeLessThan(200);
});

test('what is not there is refused, and calls under way when the thread dies are, too', async () => {
  const { client, slow, thread } = await startClient();
  await expect(slow.other.query()).rejects.toMatchObject({ code: 'failed' });
  await expect((slow.slow as unknown as Slow['other']).constructor()).rejects.toMatchObject({ code: 'failed' });
  const asked = slow.slow.query(60_000);
  await thread.terminate();
  client.disconnect();
  await expect(asked).rejects.toMatchObject({ code: 'store_down' });
  await expect(slow.slow.query(1)).rejects.toMatchObject({ code: 'store_down' });
});
