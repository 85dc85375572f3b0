/**
 * What many agents cost, and what a call to one costs: `node bench/agents.ts [--quick]`. The registry against a plain Map of the same agents, a round of probes against
 * bare GETs, calls through the whole product against the minimal relay (node:http and undici), all by turns in one run; every figure is the median of its rounds.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { cpus } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { Agent, Pool } from 'undici';

import { readCard } from '../src/agents/card.ts';
import { viewOf } from '../src/agents/entry.ts';
import { createNews } from '../src/agents/news.ts';
import { type Get, createProbe } from '../src/agents/probe.ts';
import { AgentRegistry, type Probe } from '../src/agents/registry.ts';
import { selectAgents } from '../src/agents/select.ts';
import type { AgentConfig } from '../src/core/agent.ts';
import { createEgress } from '../src/upstream/egress.ts';
import { createSend } from '../src/upstream/send.ts';
import { collect } from '../src/upstream/unary.ts';
import { createWheel } from '../src/upstream/wheel.ts';
import { AGENT_KEYS } from '../test/support/agent-box.ts';
import { agentConfig } from '../test/support/agent-config.ts';
import { cardAt } from '../test/support/scripted-agent.ts';
import { type Signalbox, startSignalbox } from '../test/support/signalbox.ts';

const quick = process.argv.includes('--quick');
const AGENTS = 10_000;
const TAGS = 100;
/** More than the way out keeps connections to. */
const ORIGINS = 1_000;
const ROUNDS = quick ? 3 : 5;
const ROUND_US = quick ? 20_000 : 60_000;
const ROUND_MS = quick ? 400 : 1_000;
const WARM_MS = quick ? 1_500 : 4_000;
const AT_ONCE = 16;
const EVENTS = 100;
/** Of the 1 KB that a call weighs. */
const TEXT = 'Tell me something short. '.repeat(33);

const children: ChildProcess[] = [];

async function main(): Promise<void> {
  const [first = 0, ...ports] = JSON.parse(await firstLineOf([fileURLToPath(import.meta.url), 'agent'])) as number[];
  console.log(
    `# ${new Date().toISOString().slice(0, 10)} · Node ${process.version} · ${cpus().length} × ${cpus()[0]!.model}, shared · medians of ${ROUNDS} rounds`,
  );
  await memory();
  await operations();
  console.log(
    '\n## One round of probes, CPU of the main thread per agent\n| | µs | × bare GET | whole round, s |\n|---|---|---|---|',
  );
  await round('one origin, cards not known yet', [first], true);
  await round('one origin', [first], false);
  await round(`${ORIGINS} origins`, ports, false);
  await calls(first);
}

// The registry.

function configs(ports: readonly number[] = [80]): AgentConfig[] {
  return Array.from({ length: AGENTS }, (_, index) => {
    // Nobody registers agents in the order of their names.
    const at = (index * 7_919) % AGENTS;
    const name = `agent-${String(at).padStart(5, '0')}`;
    const url = `http://127.0.0.1:${ports[at % ports.length]}/${name}`;
    return agentConfig(name, url, { description: `Agent ${at}, which does what it can`, tags: ['all', `team-${at % TAGS}`] });
  });
}

function cardText(url: string): string {
  const skills = ['route-optimizer', 'currency-converter', 'invoice-reader'].map((id) => ({
    id,
    name: id.replace('-', ' '),
    description: 'Finds the best way between several places, with current traffic and what the traveller likes in mind',
    tags: [id.split('-')[0], 'planning', url.slice(-1)],
    examples: ['Plan a trip from Bern to Geneva that avoids tolls', 'How much are 100 of these in those?'],
  }));
  return JSON.stringify(cardAt(url, { name: url.slice(-11), skills }));
}

const answeringCards: Probe = ({ url }) => {
  const read = readCard(cardText(url));
  if (!read.ok) throw new Error(read.problem);
  const card = {
    url: `${url}/.well-known/agent-card.json`,
    facts: read.card,
    fetchedAtMs: Date.now(),
    signature: 'none' as const,
  };
  return Promise.resolve({ verdict: 'ok', latencyMs: 3, card });
};

function filled(agents: readonly AgentConfig[], probe: Probe): AgentRegistry {
  const registry = new AgentRegistry({ probe, nowMs: Date.now, random: Math.random });
  for (const config of agents) registry.register(config);
  return registry;
}

async function memory(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const used = (): number => {
    collectGarbage();
    collectGarbage();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const kept: unknown[] = [];
  const bytesOf = async (make: () => unknown): Promise<number> => {
    const before = used();
    kept.push(await make());
    return (used() - before) / AGENTS;
  };
  await bytesOf(() => filled(configs(), answeringCards).checkAllAgentsHealth());
  const plain = await bytesOf(() => new Map(configs().map((config) => [config.name, config])));
  const bare = await bytesOf(() => filled(configs(), answeringCards));
  const texts = configs().map(({ name, url }) => [name, cardText(url)] as const);
  const cards = await bytesOf(() => new Map(texts.map(([name, text]) => [name, JSON.parse(text) as object])));
  const registry = filled(configs(), answeringCards);
  const withCards = bare + (await bytesOf(() => registry.checkAllAgentsHealth()));
  const views = await bytesOf(() => structuredClone(registry.list().map(viewOf)));
  const words = await bytesOf(() => selectAgents(registry.list(), { text: 'convert' }));
  console.log('\n## Memory per agent\n| | bytes | × a Map of the same JSON |\n|---|---|---|');
  const row = (name: string, bytes: number, base: number): void =>
    console.log(`| ${name} | ${bytes.toFixed(0)} | ${(bytes / base).toFixed(2)} |`);
  row('registered, without a card', bare, plain);
  row(`looked at, with a card of ${texts[0]![1].length} bytes`, withCards, plain + cards);
  row('its view in each worker', views, plain + cards);
  row('what the first search remembers of it', words, cards);
  // Nothing of it may be collected before it is weighed.
  if (kept.length === 0) throw new Error('nothing was kept');
}

async function operations(): Promise<void> {
  const agents = configs();
  const registry = filled(agents, answeringCards);
  await registry.checkAllAgentsHealth();
  const entries = registry.list();
  const map = new Map(agents.map((config) => [config.name, { config, state: 'healthy', text: cardText(config.url) }]));
  const names = agents.map(({ name }) => name);
  const tagged = new Map([['team-7', names.filter((name) => map.get(name)!.config.tags.includes('team-7'))]]);
  let turn = 0;
  const next = (): string => names[(turn = (turn + 1) % AGENTS)]!;
  const news = createNews(
    () => registry,
    () => Promise.resolve(true),
  );
  const walk = <T>(each: (one: NonNullable<ReturnType<typeof map.get>>) => T | undefined): T[] => {
    const found: T[] = [];
    for (const one of map.values()) found.push(...([each(one)] as T[]).filter((told) => told !== undefined));
    return found;
  };
  console.log(
    `\n## ${AGENTS} agents in the registry, all with cards; CPU of the thread\n| | µs | × a plain Map | which does |\n|---|---|---|---|`,
  );
  const row = async (name: string, work: () => unknown, plainly: string, base: () => unknown): Promise<void> => {
    const [us, baseUs] = await byTurns(work, base);
    console.log(`| ${name} | ${digits(us!)} | ${digits(us! / baseUs!)} | ${plainly}, ${digits(baseUs!)} µs |`);
  };
  const fresh = (): Map<string, AgentConfig> => new Map(agents.map((config) => [config.name, config]));
  await row('register all', () => filled(agents, answeringCards), 'sets all', fresh);
  await row(
    'get',
    () => registry.get(next()),
    'gets',
    () => map.get(next()),
  );
  await row(
    'getForRouting, state known',
    () => registry.getForRouting(next()),
    'gets, awaited',
    () => Promise.resolve(map.get(next())),
  );
  await row(
    'listByTag, 100 of them',
    () => registry.listByTag('team-7'),
    'gets 100',
    () => tagged.get('team-7')!.map((name) => map.get(name)!.config),
  );
  await row(
    'list',
    () => registry.list(),
    'copies all',
    () => [...map.values()],
  );
  await row(
    'listAvailable, all are',
    () => registry.listAvailable(),
    'filters all',
    () => walk(({ config, state }) => (state === 'healthy' && config.enabled ? config : undefined)),
  );
  await row(
    'stats',
    () => registry.stats(),
    'counts all by state',
    () => countsOf(map.values()),
  );
  await row(
    'select by tag and state',
    () => selectAgents(entries, { tags: ['team-7'], state: 'healthy' }),
    'filters all',
    () => walk(({ config }) => (config.tags.includes('team-7') ? config : undefined)),
  );
  await row(
    'search, two words, from the second on',
    () => selectAgents(entries, { text: 'invoice convert' }),
    '`includes` on all cards',
    () => walk(({ config, text }) => (text.includes('invoice') || text.includes('convert') ? config : undefined)),
  );
  await row(
    'search, the first',
    () =>
      selectAgents(
        entries.map((entry) => Object.assign({}, entry)),
        { text: 'invoice convert' },
      ),
    'parses all cards',
    () => walk(({ text }) => JSON.parse(text) as object),
  );
  await row(
    'news of all, for one worker',
    () => news.whole(),
    'copies all',
    () => walk(({ config }) => structuredClone(config)),
  );
  await row(
    'the same, sent',
    () => structuredClone(news.whole()),
    'clones all configurations',
    () => structuredClone(agents),
  );
  await row(
    'a call observed',
    () => observe(registry, next()),
    'counts',
    () => (map.get(next())!.state = 'healthy'),
  );
}

function countsOf(all: Iterable<{ state: string }>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { state } of all) counts.set(state, (counts.get(state) ?? 0) + 1);
  return counts;
}

function observe(registry: AgentRegistry, name: string): void {
  const { generation } = registry.get(name)!;
  registry.observeCall(name, { generation, caller: 'key:1', message: 1, verdicts: [{ replica: '0', verdict: 'ok' }] });
  registry.recordInvocation(name, 1_000);
}

/** µs of CPU of this thread for each of the two, by turns. */
async function byTurns(...works: (() => unknown)[]): Promise<number[]> {
  const told: number[][] = works.map(() => []);
  for (let turn = -1; turn < ROUNDS; turn++) {
    for (const [index, work] of works.entries()) {
      const us = await usPer(work);
      if (turn >= 0) told[index]!.push(us);
    }
  }
  return told.map(median);
}

async function usPer(work: () => unknown): Promise<number> {
  let calls = 0;
  let batch = 1;
  let usedUs = 0;
  for (const before = process.threadCpuUsage(); usedUs < ROUND_US; usedUs = since(before)) {
    for (let call = 0; call < batch; call++) {
      const told = work();
      if (told instanceof Promise) await told;
    }
    calls += batch;
    batch = Math.min(1_000, batch * 2);
  }
  return usedUs / calls;
}

function since(before: NodeJS.CpuUsage): number {
  const { user, system } = process.threadCpuUsage(before);
  return user + system;
}

// A round of probes, through the way out of the product.

async function round(name: string, ports: readonly number[], isFirst: boolean): Promise<void> {
  const wheel = createWheel({ turnMs: 100, now: () => performance.now() });
  const egress = createEgress({ allowPrivate: [], clientCertificates: [] }, { wheel, userAgent: 'signalbox/bench' });
  const probe = createProbe({ get: getBy(createSend(egress)), nowMs: Date.now });
  const agents = configs(ports);
  let registry = filled(agents, probe);
  const dispatcher = new Agent();
  const [ours, bare, seconds]: number[][] = [[], [], []];
  const rounds = quick ? 1 : 3;
  for (let turn = -1; turn < rounds; turn++) {
    if (isFirst) registry = filled(agents, probe);
    const from = performance.now();
    const cpu = process.threadCpuUsage();
    await registry.checkAllAgentsHealth();
    const us = since(cpu) / AGENTS;
    const tookS = (performance.now() - from) / 1_000;
    if (registry.stats().healthyAgents < AGENTS) throw new Error(`${name}: ${JSON.stringify(registry.stats())}`);
    const bareUs = await plainly(agents, dispatcher);
    if (turn < 0) continue;
    ours!.push(us);
    bare!.push(bareUs);
    seconds!.push(tookS);
  }
  egress.close();
  await dispatcher.destroy();
  const us = median(ours!);
  console.log(`| ${name} | ${us.toFixed(0)} | ${(us / median(bare!)).toFixed(2)} | ${median(seconds!).toFixed(1)} |`);
}

/** The same GETs, as many at once, read and parsed. */
async function plainly(agents: readonly AgentConfig[], dispatcher: Agent): Promise<number> {
  const cpu = process.threadCpuUsage();
  const waiting = agents.values();
  const one = async (): Promise<void> => {
    for (const { url } of waiting) {
      const { origin, pathname } = new URL(url);
      const answer = await dispatcher.request({ origin, path: `${pathname}/.well-known/agent-card.json`, method: 'GET' });
      JSON.parse(await answer.body.text());
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return since(cpu) / AGENTS;
}

function getBy(send: ReturnType<typeof createSend>): Get {
  return async ({ url, headers, timeoutMs, maxBytes }) => {
    const { origin, pathname } = new URL(url);
    const timeouts = { connectMs: timeoutMs, firstByteMs: timeoutMs, idleMs: timeoutMs, totalMs: timeoutMs };
    const endpoint = { baseUrl: origin, headers: {}, weight: 1 };
    const answer = await send({ endpoint, method: 'GET', path: pathname, headers, body: undefined, timeouts, stream: false })
      .answer;
    if (answer.failed) throw answer.error;
    const collected = await collect(answer.body, { maxBytes, contentLength: answer.headers['content-length'] });
    if (!('whole' in collected)) throw new Error('the card did not come whole');
    return { status: answer.status, body: collected.whole };
  };
}

// Calls through the whole product.

interface Contestant {
  name: string;
  pid: number;
  origin: string;
  /** Before the kind of answer that the agent is to give. */
  path: (kind: string) => string;
  version: '1.0' | '0.3';
}

const KINDS = {
  'unary, 1 KB, answered with a message': { kind: 'message', stream: false },
  'unary, 1 KB, answered with a new task': { kind: 'task', stream: false },
  [`stream of ${EVENTS} events, ten in a packet`]: { kind: 'task', stream: true },
};

async function calls(port: number): Promise<void> {
  const relay = await startRelay(port);
  const boxes = [await startBox(port, 1), await startBox(port, 2)];
  const through = boxes.flatMap((box, index) =>
    (['1.0', '0.3'] as const).map((version) => contestantOf(box, index + 1, version)),
  );
  for (const [title, load] of Object.entries(KINDS)) {
    const rows = await tournament([relay, ...through], load);
    console.log(`\n## A2A, ${title}, ${AT_ONCE} connections`);
    const perEvent = load.stream ? ' µs/event |' : '';
    console.log(
      `| | CPU µs/call |${perEvent} × minimal relay | calls/s | p50 ms |\n|---|---|---|---|---|${load.stream ? '---|' : ''}`,
    );
    for (const [{ name }, { cpuUs, perSecond, p50Ms }] of rows) {
      const event = load.stream ? ` ${(cpuUs / EVENTS).toFixed(1)} |` : '';
      const ratio = (cpuUs / rows.get(relay)!.cpuUs).toFixed(2);
      console.log(`| ${name} | ${cpuUs.toFixed(0)} |${event} ${ratio} | ${perSecond.toFixed(0)} | ${p50Ms.toFixed(1)} |`);
    }
  }
  await Promise.all(boxes.map((box) => box.stop()));
}

async function startRelay(port: number): Promise<Contestant> {
  const relayPort = await firstLineOf([fileURLToPath(new URL('load/minimal-relay.ts', import.meta.url)), String(port)]);
  const { pid } = children.at(-1)!;
  return {
    name: 'minimal relay',
    pid: pid!,
    origin: `http://127.0.0.1:${relayPort}`,
    path: (kind) => `/${kind}/rpc`,
    version: '1.0',
  };
}

async function startBox(port: number, workers: number): Promise<Signalbox> {
  const agents = ['message', 'task'].map((name) => ({ name, url: `http://127.0.0.1:${port}/${name}` }));
  const keys = [{ name: 'bench', key: '${env:KEY}', agents: ['*'] }];
  const log = { telemetry: { log: { format: 'json' } } };
  return startSignalbox({ config: JSON.stringify({ server: { workers }, keys, agents, ...log }), env: AGENT_KEYS });
}

function contestantOf({ url, process: { pid } }: Signalbox, workers: number, version: '1.0' | '0.3'): Contestant {
  const way = version === '1.0' ? 'relayed 1.0 → 1.0' : 'translated 0.3 → 1.0';
  const name = `${workers} worker${workers > 1 ? 's' : ''}, ${way}`;
  return { name, pid: pid!, origin: url, path: (kind) => `/a2a/${kind}`, version };
}

interface Load {
  kind: string;
  stream: boolean;
}

interface Measured {
  cpuUs: number;
  perSecond: number;
  p50Ms: number;
}

async function tournament(contestants: readonly Contestant[], load: Load): Promise<Map<Contestant, Measured>> {
  const told = new Map<Contestant, Measured[]>(contestants.map((each) => [each, []]));
  for (const each of contestants) await measure(each, load, WARM_MS);
  for (let turn = 0; turn < ROUNDS; turn++) {
    for (const [each, measured] of told) measured.push(await measure(each, load, ROUND_MS));
  }
  const middle = (rounds: readonly Measured[], of: keyof Measured): number => median(rounds.map((each) => each[of]));
  return new Map(
    [...told].map(([each, rounds]) => [
      each,
      { cpuUs: middle(rounds, 'cpuUs'), perSecond: middle(rounds, 'perSecond'), p50Ms: middle(rounds, 'p50Ms') },
    ]),
  );
}

async function measure(contestant: Contestant, load: Load, forMs: number): Promise<Measured> {
  const { origin, path, version, pid } = contestant;
  const pool = new Pool(origin, { connections: AT_ONCE });
  const headers = { authorization: `Bearer ${AGENT_KEYS.KEY}`, 'content-type': 'application/json', 'a2a-version': version };
  const before = cpuUs(pid);
  const from = performance.now();
  const times: number[] = [];
  const one = async (): Promise<void> => {
    while (performance.now() < from + forMs) {
      const startedAt = performance.now();
      const answer = await pool.request({ path: path(load.kind), method: 'POST', headers, body: bodyOf(version, load) });
      const text = await answer.body.text();
      if (!isRight(text, load)) throw new Error(`${contestant.name}: ${answer.statusCode} ${text.slice(0, 500)}`);
      times.push(performance.now() - startedAt);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  const seconds = (performance.now() - from) / 1_000;
  await pool.close();
  // What is written behind the answers belongs to them.
  await delay(300);
  return { cpuUs: (cpuUs(pid) - before) / times.length, perSecond: times.length / seconds, p50Ms: median(times) };
}

function isRight(text: string, { stream }: Load): boolean {
  return stream ? text.split('data: ').length === EVENTS + 1 && /completed"/i.test(text) : text.includes('"result":{');
}

let messages = 0;

function bodyOf(version: '1.0' | '0.3', { stream }: Load): string {
  const messageId = `message-${process.pid}-${++messages}`;
  const [method, message] =
    version === '1.0'
      ? [stream ? 'SendStreamingMessage' : 'SendMessage', { messageId, role: 'ROLE_USER', parts: [{ text: TEXT }] }]
      : [
          stream ? 'message/stream' : 'message/send',
          { kind: 'message', messageId, role: 'user', parts: [{ kind: 'text', text: TEXT }] },
        ];
  return JSON.stringify({ jsonrpc: '2.0', id: messages, method, params: { message } });
}

/** User and system time of all threads so far (proc(5), fields 14 and 15, in ticks of 10 ms). */
function cpuUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

// The agent: a process of its own, at as many origins as are wished for.

async function serveAgent(): Promise<void> {
  const server = createServer((request, response) => {
    const [, kind = ''] = request.url!.split('/');
    if (request.method === 'GET') {
      request.resume();
      response.writeHead(200, { 'content-type': 'application/json' }).end(cardText(`http://${request.headers.host}/${kind}`));
      return;
    }
    const chunks: Buffer[] = [];
    request
      .on('data', (chunk: Buffer) => chunks.push(chunk))
      .on('end', () => {
        const { id, method } = JSON.parse(Buffer.concat(chunks).toString()) as { id: unknown; method: string };
        if (method === 'SendStreamingMessage') void sendStream(response, JSON.stringify(id));
        else sendResult(response, JSON.stringify(id), kind === 'message' ? MESSAGE : `{"task":${taskText('COMPLETED')}}`);
      });
  });
  server.keepAliveTimeout = 120_000;
  const ports: number[] = [];
  for (let each = 0; each <= ORIGINS; each++) {
    const listener = createTcpServer({ noDelay: true }, (socket) => server.emit('connection', socket)).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    ports.push((listener.address() as AddressInfo).port);
  }
  console.log(JSON.stringify(ports));
}

const MESSAGE = JSON.stringify({
  message: { messageId: 'answer', role: 'ROLE_AGENT', parts: [{ text: 'A short answer of a few words.' }] },
});
let tasks = 0;

function taskText(state: string): string {
  tasks += 1;
  return JSON.stringify({
    id: `task-${process.pid}-${tasks}`,
    contextId: `context-${process.pid}-${tasks}`,
    status: { state: `TASK_STATE_${state}` },
  });
}

function sendResult(response: ServerResponse, id: string, result: string): void {
  const body = Buffer.from(`{"jsonrpc":"2.0","id":${id},"result":${result}}`);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
}

/** A task, pieces of its text, its end; as a fast model's network reads come. */
async function sendStream(response: ServerResponse, id: string): Promise<void> {
  const task = taskText('WORKING');
  const { id: taskId, contextId } = JSON.parse(task) as { id: string; contextId: string };
  const piece = {
    taskId,
    contextId,
    artifact: { artifactId: 'text', parts: [{ text: ' a few words' }] },
    append: true,
    lastChunk: false,
  };
  const artifact = JSON.stringify({ artifactUpdate: piece });
  const status = JSON.stringify({ statusUpdate: { taskId, contextId, status: { state: 'TASK_STATE_COMPLETED' } } });
  const events = [`{"task":${task}}`, ...Array.from({ length: EVENTS - 2 }, () => artifact), status];
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (let at = 0; at < EVENTS; at += 10) {
    response.write(
      events
        .slice(at, at + 10)
        .map((result) => `data: {"jsonrpc":"2.0","id":${id},"result":${result}}\n\n`)
        .join(''),
    );
    await new Promise((resolve) => setImmediate(resolve));
  }
  response.end();
}

async function firstLineOf(args: string[]): Promise<string> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout })) return line;
  throw new Error(`${args.join(' ')} ended before it was ready`);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(2);
}

if (process.argv[2] === 'agent') await serveAgent();
else {
  try {
    await main();
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}
