/** What one fact costs the main thread: read from its record, folded into metrics, and logged. `node bench/fold.ts`. */
import { openSync } from 'node:fs';

import type { ExchangeFact } from '../src/core/exchange.ts';
import { createLog, logExchange } from '../src/telemetry/log.ts';
import { createMetrics } from '../src/telemetry/metrics.ts';

const fact: ExchangeFact = {
  kind: 'exchange',
  id: 'ex_01jdq5z8k0123456789abcde',
  requestId: 'req_0123456789abcdefghjkmnpq',
  worker: 0,
  atMs: 1_795_374_194_123.456,
  surface: 'chat',
  stream: false,
  key: 'ci',
  model: 'gpt-4o',
  askedModel: 'gpt-4o',
  provider: 'openai',
  target: 'openai/gpt-4o-2024-08-06',
  upstreamModel: 'gpt-4o-2024-08-06',
  status: 200,
  outcome: 'ok',
  finish: 'stop',
  usage: {
    inputTokens: 1200,
    outputTokens: 300,
    cacheReadTokens: 1024,
    cacheWriteTokens: 0,
    cacheWrite1hTokens: 0,
    reasoningTokens: 64,
    inputAudioTokens: 0,
    outputAudioTokens: 0,
    cacheReadAudioTokens: 0,
    webSearches: 0,
  },
  costNanoUsd: 4_720_000,
  attempts: [
    {
      target: 'openai/gpt-4o-2024-08-06',
      provider: 'openai',
      upstreamModel: 'gpt-4o-2024-08-06',
      startedAtMs: 1_795_374_194_123.9,
      status: 200,
      headersMs: 412.123_456,
      totalMs: 812.345_678,
      spanId: '00f067aa0ba902b7',
    },
  ],
  warnings: [],
  requestBytes: 300,
  responseBytes: 700,
  firstByteMs: 412.3,
  totalMs: 813.1,
  overheadMs: 0.4,
  trace: { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b8', sampled: false },
};
const record = JSON.stringify(fact);
const metrics = createMetrics({
  version: '0',
  workers: () => [],
  mainLoopDelayP99Ms: () => 0,
  inflightBytes: () => 0,
  journalLagBytes: () => 0,
  store: () => ({ isUp: true, lagBytes: 0 }),
  targets: () => [],
  agents: () => [],
});
const log = createLog({ level: 'info', format: 'json' }, { fd: openSync('/dev/null', 'w'), isTTY: false });

measure('write a record (JSON.stringify)', () => JSON.stringify(fact));
measure('read a record (JSON.parse)', () => JSON.parse(record) as unknown);
measure('fold into metrics', () => metrics.observe(fact));
measure('log line', () => logExchange(log, fact, false));

/** The best of many short rounds: neighbours on the machine only ever add. */
function measure(name: string, run: () => unknown): void {
  const calls = 500;
  let best = Infinity;
  for (let round = 0; round < 200; round++) {
    const from = process.hrtime.bigint();
    for (let call = 0; call < calls; call++) run();
    best = Math.min(best, Number(process.hrtime.bigint() - from) / calls);
  }
  process.stdout.write(`${name.padEnd(36)} ${(best / 1000).toFixed(2)} µs\n`);
}
