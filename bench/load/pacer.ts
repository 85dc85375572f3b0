/**
 * Load at a steady pace over keep-alive connections, whether it is answered or not: times count from when a request was due. `pacer.ts URL`; reads one JSON job per line
 * from standard input and answers one JSON result per line.
 */
import { createInterface } from 'node:readline';

import { Pool } from 'undici';

interface Job {
  path: string;
  key: string;
  bytes: number;
  perSecond: number;
  seconds: number;
}

const pool = new Pool(process.argv[2]!, { connections: 64, headersTimeout: 0, bodyTimeout: 0 });

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await run(JSON.parse(line) as Job))}\n`);
}

async function run({
  path,
  key,
  bytes,
  perSecond,
  seconds,
}: Job): Promise<{ statuses: Record<string, number>; calls: [number, number][] }> {
  const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'x'.repeat(bytes) }] });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const statuses: Record<string, number> = {};
  const calls: [number, number][] = [];
  const from = performance.now();
  const ask = async (dueAt: number): Promise<void> => {
    const answer = await pool.request({ path, method: 'POST', headers, body });
    await answer.body.dump();
    calls.push([performance.timeOrigin + dueAt, performance.now() - dueAt]);
    statuses[answer.statusCode] = (statuses[answer.statusCode] ?? 0) + 1;
  };
  const under: Promise<void>[] = [];
  for (let each = 0; each < perSecond * seconds; each++) {
    const dueAt = from + (each * 1000) / perSecond;
    const early = dueAt - performance.now();
    if (early > 1) await new Promise((resolve) => setTimeout(resolve, early));
    under.push(ask(dueAt));
  }
  await Promise.all(under);
  return { statuses, calls };
}
