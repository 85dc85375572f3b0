/**
 * The load: closed loops over keep-alive connections, in a process of its own so that its CPU is not the proxy's.
 * Reads one JSON job per line from standard input and answers one JSON result per line.
 */
import { createInterface } from 'node:readline';

import { Pool } from 'undici';

export interface Job {
  url: string;
  headers: Record<string, string>;
  /** `small`: 300 B chat; `large`: 116 KB with 24 tools; `body`: 150 KB. */
  work: 'small' | 'large' | 'body';
  model: string;
  stream: boolean;
  connections: number;
  /** Requests in all. */
  requests: number;
}

export interface Result {
  requests: number;
  failed: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
  firstChunkP50Ms: number;
  firstChunkP99Ms: number;
  /** Paced streams: milliseconds between an event's leaving the upstream and its arrival. */
  gapP50Ms?: number;
  gapP99Ms?: number;
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await run(JSON.parse(line) as Job))}\n`);
}

async function run(job: Job): Promise<Result> {
  const { origin, pathname, search } = new URL(job.url);
  const pool = new Pool(origin, { connections: job.connections, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
  const body = bodyOf(job);
  const [totals, firsts, gaps]: number[][] = [[], [], []];
  let left = job.requests;
  let failed = 0;
  const loop = async (): Promise<void> => {
    while (left-- > 0) {
      const startedAt = performance.now();
      try {
        const answer = await pool.request({
          path: pathname + search,
          method: 'POST',
          headers: { 'content-type': 'application/json', ...job.headers },
          body,
        });
        let first = 0;
        let text = '';
        for await (const chunk of answer.body) {
          if (first === 0) first = performance.now();
          text = noteGaps(text + (search.includes('paced') ? (chunk as Buffer).toString('latin1') : ''), gaps!);
        }
        if (answer.statusCode !== 200) failed++;
        totals!.push(performance.now() - startedAt);
        firsts!.push(first - startedAt);
      } catch {
        failed++;
      }
    }
  };
  const from = performance.now();
  await Promise.all(Array.from({ length: job.connections }, loop));
  const seconds = (performance.now() - from) / 1000;
  await pool.destroy();
  return {
    requests: totals!.length,
    failed,
    seconds,
    p50Ms: quantile(totals!, 0.5),
    p99Ms: quantile(totals!, 0.99),
    firstChunkP50Ms: quantile(firsts!, 0.5),
    firstChunkP99Ms: quantile(firsts!, 0.99),
    ...(gaps!.length > 0 && { gapP50Ms: quantile(gaps!, 0.5), gapP99Ms: quantile(gaps!, 0.99) }),
  };
}

/** Takes the stamps out of a paced stream's text and answers what is left of it. */
function noteGaps(text: string, gaps: number[]): string {
  const now = performance.timeOrigin + performance.now();
  let rest = 0;
  for (const match of text.matchAll(/"t(\d+\.\d+)t"/g)) {
    gaps.push(now - Number(match[1]));
    rest = match.index + match[0].length;
  }
  return text.slice(rest);
}

function quantile(values: number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

function bodyOf({ work, model, stream }: Job): string {
  const options = stream ? { stream: true, stream_options: { include_usage: true } } : {};
  if (work === 'small')
    return JSON.stringify({ model, ...options, messages: [{ role: 'user', content: 'Tell me something short. '.repeat(8) }] });
  const filler = 'The quick brown fox jumps over the lazy dog; "quotes" and \\ backslashes \n appear as in real prompts. ';
  const size = work === 'large' ? 116_000 : 150_000;
  const tools = Array.from({ length: 24 }, (_, index) => ({
    type: 'function',
    function: {
      name: `tool_${index}`,
      description: filler.repeat(12),
      parameters: {
        type: 'object',
        properties: { path: { type: 'string', description: filler }, limit: { type: 'integer' } },
        required: ['path'],
      },
    },
  }));
  const fixed = JSON.stringify({ model, ...options, tools, messages: [] }).length;
  const text = filler.repeat(Math.ceil((size - fixed) / filler.length / 1.05));
  return JSON.stringify({
    model,
    ...options,
    tools,
    messages: [
      { role: 'system', content: text.slice(0, text.length >> 1) },
      { role: 'user', content: text.slice(text.length >> 1) },
    ],
  });
}
