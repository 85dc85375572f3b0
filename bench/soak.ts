/**
 * `npm run test:long [-- --minutes N]`: a real Signalbox under mixed load, good, bad and broken off, with reloads in between; then silence.
 * Prints what memory did and exits 1 on a leak: exchanges or bytes still counted as in flight, sockets still open, facts that are missing,
 * a heap whose floor rises. One minute says that nothing leaks fast; for slow leaks give it an hour.
 */
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, request } from 'undici';

import { chunk, head, LAST_CHUNK, SSE_HEAD, type Step, startFaultUpstream, whole } from '../test/support/fault-upstream.ts';
import { startSignalbox } from '../test/support/signalbox.ts';

const MINUTES = Number(process.argv[process.argv.indexOf('--minutes') + 1]) || 1;
const WIDTH = 24;
const SAMPLE_MS = 2_000;
const RELOAD_MS = 7_000;
/** Upstream connections are kept for 30 s, and swept away after that. */
const REST_MS = 40_000;
/** Caches, compiled code and histograms settle; a leak of 1 KB an exchange is twenty times that in a minute. */
const FLOOR_RISE_MIB = 12;
const ENV = { LAB: 'lab-credential-0123456789', KEY: 'client-key-abcdefghij', ADMIN: 'admin-key-zyxwvutsrq' };
const AUTH = { authorization: `Bearer ${ENV.KEY}` };

const choice = (content: string): string =>
  JSON.stringify({
    id: 'c',
    object: 'chat.completion',
    created: 1,
    model: 'up',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
  });
const delta = (text: string): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'up', choices: [{ index: 0, delta: { content: text }, finish_reason: null }] })}\n\n`;
const stop = `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'up', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })}\n\n`;

/** What the upstream does is named by the model's end. */
const PLAYS: Record<string, () => Step[]> = {
  whole: () => [{ send: whole(200, choice('hello')) }],
  large: () => [{ send: whole(200, choice('x'.repeat(2 * 1024 * 1024))) }],
  stream: () => [
    { send: SSE_HEAD },
    ...Array.from({ length: 20 }, () => [{ send: chunk(delta('word ')) }, { waitMs: 2 }]).flat(),
    { send: Buffer.concat([chunk(`${stop}data: [DONE]\n\n`), Buffer.from(LAST_CHUNK)]) },
  ],
  endless: () => [
    { send: SSE_HEAD },
    ...Array.from({ length: 400 }, () => [{ send: chunk(delta('y'.repeat(2_000))) }, { waitMs: 5 }]).flat(),
  ],
  cut: () => [{ send: SSE_HEAD }, { send: chunk(delta('half')) }, 'reset'],
  reset: () => ['reset'],
  silent: () => ['hang'],
  failing: () => [{ send: whole(500, '{"error":{"message":"broken"}}') }],
  refusing: () => [{ send: whole(400, '{"error":{"message":"no"}}') }],
  garbage: () => [{ send: head(200, { 'content-type': 'application/json', 'content-length': 3 }) }, { send: '{]}' }],
};

const config = (url: string, generation: number): string => `
server: { workers: 2, drain_s: 5 }
providers:
  lab: { type: openai-compatible, base_url: "${url}/v1", api_key: "\${env:LAB}" }
models:
  - { name: "lab/*", targets: [{ provider: lab, model: "*", timeouts: { total_ms: 2000, first_byte_ms: 2000 }, price: { input_usd_per_mtok: 1, output_usd_per_mtok: 1 } }] }
  - { name: generation-${generation}, targets: [{ provider: lab, model: whole }] }
keys: [{ name: k, key: "\${env:KEY}", models: ["*"] }]
admin: { key: "\${env:ADMIN}" }
egress: { allow_private: ["10.${generation % 250}.0.0/16"] }
telemetry: { log: { level: error, format: json } }
`;

const reports = mkdtempSync(join(tmpdir(), 'signalbox-soak-'));
const upstream = await startFaultUpstream(({ body }) => {
  const model = /"model":"(\w+)"/.exec(body.toString('latin1', 0, 200))?.[1] ?? '';
  return (PLAYS[model] ?? PLAYS['whole']!)();
});
const box = await startSignalbox({
  config: config(upstream.url, 0),
  env: {
    ...ENV,
    NODE_OPTIONS: `--report-on-signal --report-signal=SIGUSR2 --report-compact --report-exclude-network --report-directory=${reports}`,
  },
});
const chatUrl = `${box.url}/v1/chat/completions`;
const messagesUrl = `${box.url}/v1/messages`;
const done = { answered: 0, brokenOff: 0, refused: 0 };

type Deed = () => Promise<unknown>;

/** Closed at the end of the load, so that every connection left is one that Signalbox keeps for nobody. */
let client = new Agent({ connections: 64, bodyTimeout: 0, headersTimeout: 0 });

interface Asked {
  headers: Record<string, string>;
  body?: string | object;
  signal?: AbortSignal;
}

/** The answer's text, or what came of it before it broke. */
async function ask(url: string, { headers, body, signal }: Asked): Promise<string> {
  const answer = await request(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    body: typeof body === 'object' ? JSON.stringify(body) : (body ?? null),
    dispatcher: client,
    ...(signal === undefined ? {} : { signal }),
  });
  let text = '';
  for await (const piece of answer.body.setEncoding('utf8')) text += String(piece);
  return text;
}

const good =
  (model: string, over: object = {}, url = chatUrl): Deed =>
  async () => {
    const body = { model: `lab/${model}`, max_tokens: 9, messages: [{ role: 'user', content: 'hello' }], ...over };
    await ask(url, { headers: AUTH, body });
    done.answered++;
  };

/** Leaves at a moment of its own choosing: before the head, inside the body, or just after all of it. */
const leaving =
  (model: string, over: object = {}): Deed =>
  async () => {
    const leave = new AbortController();
    const timer = setTimeout(() => leave.abort(), Math.random() * 60);
    const body = { model: `lab/${model}`, messages: [{ role: 'user', content: 'hello' }], ...over };
    await ask(chatUrl, { headers: AUTH, body, signal: leave.signal }).catch(() => undefined);
    clearTimeout(timer);
    done.brokenOff++;
  };

/** Bytes, a moment, and the socket is gone. */
const raw =
  (text: string): Deed =>
  async () => {
    const socket = connect({ port: Number(new URL(box.url).port), host: '127.0.0.1' }).on('error', () => undefined);
    socket.write(text);
    await delay(Math.random() * 40);
    socket.destroy();
    done.brokenOff++;
  };

const refused =
  (headers: Record<string, string>, body: string | object): Deed =>
  async () => {
    await ask(chatUrl, { headers, body });
    done.refused++;
  };

const HEAD = `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${ENV.KEY}\r\ncontent-type: application/json\r\n`;
const DEEDS: readonly Deed[] = [
  good('whole'),
  good('whole', {}, messagesUrl),
  good('large'),
  good('stream', { stream: true }),
  good('stream', { stream: true }, messagesUrl),
  good('stream', {}),
  good('whole', { stream: true }),
  good('cut', { stream: true }),
  good('cut', { stream: true }, messagesUrl),
  good('reset'),
  good('failing'),
  good('refusing'),
  good('garbage', {}, messagesUrl),
  good('whole', { messages: [{ role: 'user', content: 'z'.repeat(1024 * 1024) }] }),
  leaving('silent'),
  leaving('silent', { stream: true }),
  leaving('endless', { stream: true }),
  leaving('large'),
  leaving('whole'),
  raw(`${HEAD}content-length: 100000\r\n\r\n{"model":`),
  raw(`${HEAD}transfer-encoding: chunked\r\n\r\n5\r\n{"mod\r\n`),
  raw('GET /v1/mod'),
  raw(`GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n`.repeat(20)),
  refused({}, {}),
  refused(AUTH, '{"model":"lab/whole",'),
  refused(AUTH, { model: 'nothing-like-it' }),
  refused({ authorization: 'Bearer wrong-key-wrong-key' }, {}),
];

interface Sample {
  atMinutes: number;
  rssMib: number;
  heapMib: number;
}

/** Memory in use by the heaps of all threads, from Node's own report; collected garbage included, so only the floor of many samples counts. */
async function takeSample(startedAt: number): Promise<Sample> {
  box.process.kill('SIGUSR2');
  await delay(SAMPLE_MS / 2);
  const file = readdirSync(reports).sort().at(-1);
  let heapBytes = Number.NaN;
  if (file !== undefined) {
    const text = readFileSync(join(reports, file), 'utf8');
    if (text.endsWith('}\n') || text.endsWith('}')) heapBytes = heapOf(JSON.parse(text) as Report);
  }
  for (const each of readdirSync(reports)) rmSync(join(reports, each));
  const rssMib = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${box.process.pid}/status`, 'utf8'))?.[1]) / 1024;
  return { atMinutes: (performance.now() - startedAt) / 60_000, rssMib, heapMib: heapBytes / 1024 / 1024 };
}

interface Report {
  javascriptHeap: { usedMemory: number };
  workers?: Report[];
}

function heapOf({ javascriptHeap, workers = [] }: Report): number {
  return workers.reduce((sum, worker) => sum + heapOf(worker), javascriptHeap.usedMemory);
}

async function metrics(): Promise<Map<string, number>> {
  const text = await ask(`${box.url}/metrics`, { headers: { authorization: `Bearer ${ENV.ADMIN}`, connection: 'close' } });
  const sums = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name = '', value = ''] = /^(\w+)(?:\{.*\})? (\S+)$/.exec(line) ?? [];
    if (name !== '') sums.set(name, (sums.get(name) ?? 0) + Number(value));
  }
  return sums;
}

function openSockets(): number {
  const directory = `/proc/${box.process.pid}/fd`;
  return readdirSync(directory).filter((fd) => {
    try {
      return readlinkSync(join(directory, fd)).startsWith('socket:');
    } catch {
      return false;
    }
  }).length;
}

/** Least squares, per minute. */
function slope(samples: readonly Sample[], of: (sample: Sample) => number): number {
  const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [middleX, middleY] = [mean(samples.map((sample) => sample.atMinutes)), mean(samples.map(of))];
  const above = samples.reduce((sum, sample) => sum + (sample.atMinutes - middleX) * (of(sample) - middleY), 0);
  return above / samples.reduce((sum, sample) => sum + (sample.atMinutes - middleX) ** 2, 0);
}

async function load(untilMs: number): Promise<void> {
  const lane = async (): Promise<void> => {
    while (performance.now() < untilMs) await DEEDS[Math.floor(Math.random() * DEEDS.length)]!();
  };
  await Promise.all(Array.from({ length: WIDTH }, lane));
}

async function reloads(untilMs: number): Promise<number> {
  let generation = 0;
  while (performance.now() + RELOAD_MS < untilMs) {
    await delay(RELOAD_MS);
    await box.reload(config(upstream.url, ++generation)).catch(() => undefined);
  }
  return generation;
}

async function watch(untilMs: number, startedAt: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  while (performance.now() < untilMs) {
    await delay(SAMPLE_MS / 2);
    samples.push(await takeSample(startedAt));
  }
  return samples.filter(({ heapMib }) => !Number.isNaN(heapMib));
}

function floorRise(samples: readonly Sample[]): { early: number; late: number } {
  const floor = (from: number, to: number): number =>
    Math.min(...samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to)).map(({ heapMib }) => heapMib));
  return { early: floor(0.2, 0.5), late: floor(0.7, 1) };
}

const startedAt = performance.now();
const untilMs = startedAt + MINUTES * 60_000;
const socketsBefore = openSockets();
const [samples, generations] = await Promise.all([watch(untilMs, startedAt), reloads(untilMs), load(untilMs)]);
process.stdout.write(`load over after ${MINUTES} min; resting ${REST_MS / 1000} s\n`);
await client.close();
await delay(REST_MS);
client = new Agent({ connections: 1 });
const after = await metrics();
await delay(100);
// The relay of the scrape to the control plane keeps its connection for a while.
const sockets = openSockets() - socketsBefore;
const rise = floorRise(samples);
const facts = after.get('signalbox_requests_total') ?? 0;
const { rssMib: restedMib } = await takeSample(startedAt);

process.stdout.write(
  [
    `exchanges          ${facts} facts; ${done.answered} answered, ${done.refused} refused, ${done.brokenOff} broken off; ${generations} reloads`,
    `RSS                ${samples[0]?.rssMib.toFixed(0)} → ${samples.at(-1)?.rssMib.toFixed(0)} MiB, ${slope(samples, (each) => each.rssMib).toFixed(1)} MiB/min; ${restedMib.toFixed(0)} MiB at rest`,
    `heap floor         ${rise.early.toFixed(1)} → ${rise.late.toFixed(1)} MiB; ${slope(samples, (each) => each.heapMib).toFixed(1)} MiB/min over all samples`,
    `at rest            ${after.get('signalbox_inflight_exchanges')} exchanges, ${after.get('signalbox_inflight_bytes')} bytes in flight, ${after.get('signalbox_journal_lag_bytes')} bytes of journal unread, ${sockets} sockets more than at the start, ${upstream.open()} upstream connections`,
    '',
  ].join('\n'),
);

const code = await box.stop();
await upstream.close();
rmSync(reports, { recursive: true, force: true });
const leaks = Object.entries({
  'exchanges in flight at rest': after.get('signalbox_inflight_exchanges') !== 0,
  'bytes in flight at rest': after.get('signalbox_inflight_bytes') !== 0,
  'journal unread at rest': after.get('signalbox_journal_lag_bytes') !== 0,
  'sockets open at rest': sockets > 4,
  'upstream connections open at rest': upstream.open() > 0,
  'facts missing': facts < done.answered + done.refused,
  'heap floor rises': rise.late - rise.early > FLOOR_RISE_MIB,
  'the end was not clean': code !== 0,
  'errors in the log': box.stderr().includes('"level":"error"') && !onlyExpected(box.stderr()),
}).flatMap(([name, found]) => (found ? [name] : []));

/** Nothing here may look like a failure of our own. */
function onlyExpected(log: string): boolean {
  const lines = log.split('\n').filter((line) => line.includes('"level":"error"'));
  process.stdout.write(`${lines.slice(0, 5).join('\n')}\n`);
  return lines.length === 0;
}

process.stdout.write(leaks.length === 0 ? 'no leak\n' : `LEAK: ${leaks.join('; ')}\n`);
process.exit(leaks.length === 0 ? 0 : 1);
