/**
 * What an exchange's key, limits, budgets and record cost the worker: `node bench/policy.ts [batches]`. Every stage is the product's own, over real shared memory and a real
 * journal; the baseline of the same run is reading the body of the same request (300 B, and 116 KB with 24 tools), which every exchange does anyway.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';

import { buildSnapshot } from '../src/config/build-snapshot.ts';
import type { PricedTarget, Snapshot } from '../src/config/snapshot.ts';
import type { Fact } from '../src/core/fact.ts';
import type { PriceState } from '../src/core/price.ts';
import { NO_USAGE } from '../src/core/usage.ts';
import { admitCaller, admitModel, admitTarget } from '../src/gateway/admit.ts';
import { type ClientBody, readClientBody } from '../src/gateway/body.ts';
import { type Exchange, beginExchange } from '../src/gateway/exchange.ts';
import { type Line, createLine } from '../src/gateway/line.ts';
import type { Plane } from '../src/gateway/plane.ts';
import { settle } from '../src/gateway/settle.ts';
import { type OpenSpend, journalSpend, reserveSpend } from '../src/gateway/spend.ts';
import { CHAT } from '../src/gateway/surface.ts';
import type { EdgeRequest } from '../src/http/edge.ts';
import { createEstimator } from '../src/ledger/estimate.ts';
import { createPriceBook } from '../src/ledger/price.ts';
import { createWindows } from '../src/ledger/window.ts';
import { createIdSource } from '../src/lib/ids.ts';
import { createDirectoryIndex } from '../src/policy/directory-index.ts';
import { createTokenHistory } from '../src/policy/token-history.ts';
import { modelFacts } from '../src/providers/models/facts.ts';
import { createJournal } from '../src/runtime/journal.ts';
import { createSharedOverview, openSharedState } from '../src/runtime/shared-state.ts';
import { SLOT_SPACE, createSlotBook } from '../src/runtime/slots.ts';
import { CATALOG, configFolder } from '../test/support/config-files.ts';

const KEY = 'bench-key-0123456789abcdef';
const BATCH = 32;
const BATCHES = Number(process.argv[2] ?? 2_000);
const WARM_UP = 300;

const RULES = {
  'no rules': '',
  limits: ', limits: { rpm: 1000000000, tpm: 1000000000, concurrent: 1000000 }',
  'limits, soft budget':
    ', limits: { rpm: 1000000000, tpm: 1000000000, concurrent: 1000000 }, budget: { limit_usd: 9000000, hard: false }',
  'limits, hard budget': ', limits: { rpm: 1000000000, tpm: 1000000000, concurrent: 1000000 }, budget: { limit_usd: 9000000 }',
} as const;

const text = (bytes: number): string => 'words '.repeat(Math.ceil(bytes / 6)).slice(0, bytes);
const tool = (index: number): object => ({
  type: 'function',
  function: {
    name: `tool_${index}`,
    description: text(2_000),
    parameters: { type: 'object', properties: { path: { type: 'string', description: text(200) } } },
  },
});
const BODIES = {
  '300 B': { model: 'm', max_tokens: 500, messages: [{ role: 'user', content: text(230) }] },
  '116 KB': {
    model: 'm',
    max_tokens: 500,
    tools: Array.from({ length: 24 }, (_, index) => tool(index)),
    messages: [{ role: 'user', content: text(58_000) }],
  },
};

const STAGES = ['read', 'begin', 'key', 'limits', 'budget', 'journal', 'end'] as const;
type Stage = (typeof STAGES)[number];

const scratch = mkdtempSync(join(tmpdir(), 'signalbox-bench-'));
try {
  await main();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function main(): Promise<void> {
  console.log(`node ${process.version}, ${BATCHES} × ${BATCH} exchanges; µs of CPU for each`);
  for (const [size, content] of Object.entries(BODIES)) {
    console.log(`\n## body of ${size}`);
    console.log(`| | ${STAGES.join(' | ')} | key + limits + budget + journal + end | × read |`);
    console.log(`|---|${STAGES.map(() => '---|').join('')}---|---|`);
    for (const [name, rules] of Object.entries(RULES)) {
      const us = await measure(await setUp(rules), Buffer.from(JSON.stringify(content)));
      const sum = us.key + us.limits + us.budget + us.journal + us.end;
      console.log(
        `| ${name} | ${STAGES.map((stage) => us[stage].toFixed(1)).join(' | ')} | ${sum.toFixed(1)} | ${(sum / us.read).toFixed(1)} |`,
      );
    }
  }
}

interface Setting {
  plane: Plane;
  line: Line;
  close: () => void;
}

async function measure({ plane, line, close }: Setting, bytes: Buffer): Promise<Record<Stage, number>> {
  const spent = Object.fromEntries(STAGES.map((stage) => [stage, 0])) as Record<Stage, number>;
  for (let batch = 0; batch < WARM_UP + BATCHES; batch++) {
    if (batch === WARM_UP) for (const stage of STAGES) spent[stage] = 0;
    let at = cpuUs();
    const lap = (stage: Stage): void => {
      const now = cpuUs();
      spent[stage] += now - at;
      at = now;
    };
    const bodies = Array.from({ length: BATCH }, () => readClientBody(bytes));
    lap('read');
    const exchanges = bodies.map((body) => begin(plane, body));
    lap('begin');
    for (const exchange of exchanges)
      exchange.caller = line.authenticate(exchange.request.headers, plane.nowMs(), '127.0.0.1') as never;
    lap('key');
    for (const [index, exchange] of exchanges.entries()) admitAll(exchange, line, bodies[index]!);
    lap('limits');
    for (const [index, exchange] of exchanges.entries())
      exchange.spend = reserveSpend(exchange, bodies[index]!, exchange.target!) as OpenSpend;
    lap('budget');
    for (const exchange of exchanges) void journalSpend(exchange, exchange.spend!);
    lap('journal');
    for (const exchange of exchanges) end(exchange);
    await turn();
    lap('end');
  }
  close();
  for (const stage of STAGES) spent[stage] /= BATCHES * BATCH;
  return spent;
}

/** Of this thread, which others on the machine do not slow down. */
function cpuUs(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

function begin(plane: Plane, { stream, model, bytes }: ClientBody): Exchange {
  const request = {
    id: 'req_0123456789abcdefghjkmnpq',
    headers: { authorization: `Bearer ${KEY}` },
    startedAt: performance.now(),
    clientIp: '127.0.0.1',
  };
  const exchange = beginExchange(plane, CHAT, request as unknown as EdgeRequest);
  exchange.stream = stream;
  exchange.askedModel = model;
  exchange.requestBytes = bytes.length;
  return exchange;
}

function admitAll(exchange: Exchange, line: Line, body: ClientBody): void {
  void admitCaller(exchange);
  exchange.resolved = line.resolve(body.model, exchange.caller!);
  void admitModel(exchange, body);
  const [target] = exchange.resolved.targets;
  exchange.target = target!;
  void admitTarget(exchange, body, target!);
}

function end(exchange: Exchange): void {
  const { target } = exchange;
  exchange.attempts.push({
    target: target!.id,
    provider: target!.provider,
    upstreamModel: target!.upstreamModel,
    startedAtMs: exchange.spend!.atMs,
    totalMs: 500,
    status: 200,
    spanId: '0123456789abcdef',
  });
  exchange.usage = { ...NO_USAGE, inputTokens: 60, outputTokens: 80 };
  exchange.finish = 'stop';
  exchange.status = 200;
  exchange.outcome = 'ok';
  exchange.responseBytes = 900;
  settle(exchange);
}

async function setUp(rules: string): Promise<Setting> {
  const dir = mkdtempSync(join(scratch, 'journal-'));
  const slots = createSlotBook(SLOT_SPACE, Date.now);
  const snapshot = await snapshotOf(rules, slots.slotOf);
  const shared = openSharedState(createSharedOverview(1, Date.now()).memory, 0);
  const ids = createIdSource(randomBytes);
  const nothing = (): void => {};
  const journal = createJournal({
    dir,
    worker: 0,
    boot: 'b',
    announce: nothing,
    onTrouble: nothing,
    onRecovered: nothing,
    onLost: nothing,
  });
  const directory = createDirectoryIndex();
  directory.useFile({ keys: snapshot.keys, tags: snapshot.rules.tags });
  const routing = {
    targets: shared.targets,
    limits: shared.limits,
    priceOf: ({ priceState }: PricedTarget) =>
      priceState.status === 'lazy' ? ({ status: 'unpriced', reason: '' } as const) : priceState,
    random: Math.random,
  };
  const line = createLine(snapshot, { directory, routing });
  const plane = {
    worker: 0,
    line: () => line,
    priceOf: (target: { priceState: PriceState }) => target.priceState,
    limiter: shared.limiter,
    accounts: shared.accounts,
    windowOf: createWindows(),
    estimator: createEstimator(),
    historyOf: createTokenHistory(),
    storeIsBehind: () => false,
    record: (fact: Fact) => journal.append(fact),
    commit: () => void journal.commit(),
    raise: nothing,
    began: () => shared.exchangeStarted(),
    ended: () => shared.exchangeEnded(),
    sample: () => false,
    tracing: () => false,
    nowMs: Date.now,
    exchangeId: ids.exchangeId,
    random: Math.random,
    traceId: ids.traceId,
    spanId: ids.spanId,
  };
  return { plane: plane as unknown as Plane, line, close: () => journal.close() };
}

async function snapshotOf(rules: string, slotOf: ReturnType<typeof createSlotBook>['slotOf']): Promise<Snapshot> {
  const yaml = `
providers: { lab: { type: openai-compatible, base_url: "http://127.0.0.1:9/v1", api_key: none } }
models: [{ name: m, targets: [{ provider: lab, model: up, price: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 } }] }]
keys: [{ name: k, key: "\${env:KEY}"${rules} }]
`;
  await using files = await configFolder({ 'gateway.yaml': yaml });
  const result = await files.load({ env: { KEY } });
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  const nowMs = Date.now();
  return buildSnapshot(result.loaded, {
    catalog: CATALOG,
    prices: await createPriceBook({ nowMs: Date.now }),
    modelFacts,
    pepper: '0'.repeat(64),
    nowMs,
    version: 1,
    platform: 'linux',
    cores: 2,
    slotOf,
  });
}
