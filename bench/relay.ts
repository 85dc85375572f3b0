/**
 * What the way out costs by itself: CPU of the relaying thread per request and per event, against a raw byte pipe and a minimal
 * node:http + undici relay, in the same run. Upstream and clients are threads of their own and not counted.
 *
 *   node bench/relay.ts [seconds per cell, default 2]
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Server } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

import { Agent, Pool, request } from 'undici';

import { openaiChatTap } from '../src/dialects/openai-chat/tap.ts';
import { createEgress } from '../src/upstream/egress.ts';
import { relayStream } from '../src/upstream/relay.ts';
import { createSend } from '../src/upstream/send.ts';
import type { UpstreamAnswer } from '../src/upstream/types.ts';
import { collect } from '../src/upstream/unary.ts';
import { createWheel } from '../src/upstream/wheel.ts';

const EVENTS = 800;
const EVENT = `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { content: ' token' }, finish_reason: null }] })}\n\n`;
const DONE = 'data: [DONE]\n\n';
const ANSWER = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'x'.repeat(300) } }],
});
const SMALL = Buffer.from(JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'x'.repeat(250) }] }));

/** A cell of the table: how the upstream answers, and how many ask at once. */
const WORK = {
  'unary 300 B': { path: '/unary', clients: 16, events: 0 },
  '800 events in bursts': { path: '/burst', clients: 4, events: EVENTS },
  '800 events one by one': { path: '/paced', clients: 4, events: EVENTS },
} as const;

type WorkName = keyof typeof WORK;

async function main(): Promise<void> {
  const seconds = Number(process.argv[2] ?? 2);
  const upstream = new Worker(new URL(import.meta.url), { workerData: 'upstream' });
  const [upstreamPort] = (await once(upstream, 'message')) as [number];
  const clients = new Worker(new URL(import.meta.url), { workerData: 'clients' });
  const target = `http://127.0.0.1:${upstreamPort}`;
  const relays = { 'byte pipe': bytePipe(upstreamPort), minimal: await minimal(target), signalbox: await ours(target) };

  console.log(`node ${process.version}, ${seconds} s per cell, best of 3; CPU of the relaying thread`);
  for (const name of Object.keys(WORK) as WorkName[]) {
    const costs: Record<string, number> = {};
    for (let round = 0; round < 4; round++) {
      for (const [relay, server] of Object.entries(relays)) {
        const costUs = await measure(clients, server, name, round === 0 ? 0.5 : seconds / 3);
        if (round > 0) costs[relay] = Math.min(costs[relay] ?? Infinity, costUs);
      }
    }
    print(name, costs);
  }
  process.exit(0);
}

function print(name: WorkName, costs: Record<string, number>): void {
  const { events } = WORK[name];
  console.log(`\n${name}`);
  for (const [relay, costUs] of Object.entries(costs)) {
    const perEvent = events === 0 ? '' : `${(costUs / events).toFixed(2).padStart(7)} µs/event`;
    const ratios = `${(costUs / costs['byte pipe']!).toFixed(2)} × pipe  ${(costUs / costs.minimal!).toFixed(2)} × minimal`;
    console.log(`  ${relay.padEnd(10)} ${costUs.toFixed(1).padStart(8)} µs/request ${perEvent}  ${ratios}`);
  }
}

/** CPU microseconds of this thread per request. */
async function measure(clients: Worker, server: Server, work: WorkName, seconds: number): Promise<number> {
  const { port } = server.address() as AddressInfo;
  const before = process.threadCpuUsage();
  clients.postMessage({ port, work, seconds });
  const [requests] = (await once(clients, 'message')) as [number];
  const used = process.threadCpuUsage(before);
  return (used.user + used.system) / requests;
}

function bytePipe(upstreamPort: number): Server {
  return createTcpServer((client) => {
    const upstream = connect(upstreamPort, '127.0.0.1');
    client.setNoDelay(true).on('error', () => upstream.destroy());
    upstream.setNoDelay(true).on('error', () => client.destroy());
    client.pipe(upstream).pipe(client);
  }).listen(0, '127.0.0.1');
}

async function listening(listener: RequestListener): Promise<Server> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    message.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)));
  });
}

async function minimal(target: string): Promise<Server> {
  const dispatcher = new Agent({ allowH2: false });
  return listening((message, response) => {
    void (async () => {
      const body = await bodyOf(message);
      const headers = { 'content-type': 'application/json', authorization: 'Bearer x' };
      const answer = await request(`${target}${message.url}`, { method: 'POST', headers, body, dispatcher });
      response.writeHead(answer.statusCode, { 'content-type': String(answer.headers['content-type']) });
      answer.body.pipe(response);
    })();
  });
}

async function ours(target: string): Promise<Server> {
  const wheel = createWheel({ turnMs: 100, now: () => performance.now() });
  const egress = createEgress({ allowPrivate: [], clientCertificates: [] }, { wheel, userAgent: 'signalbox/bench' });
  const send = createSend(egress);
  const endpoint = { baseUrl: target, headers: { authorization: 'Bearer x' }, weight: 1 };
  const timeouts = { connectMs: 5_000, firstByteMs: 60_000, idleMs: 60_000, totalMs: 60_000 };
  const headers = { 'content-type': 'application/json' };
  return listening((message, response) => {
    void (async () => {
      const body = await bodyOf(message);
      const stream = message.url !== '/unary';
      const answer = await send({ endpoint, method: 'POST', path: message.url!, headers, body, timeouts, stream }).answer;
      if (answer.failed) throw answer.error;
      response.statusCode = answer.status;
      response.setHeader('content-type', String(answer.headers['content-type']));
      if (stream)
        await relayStream(
          { body: answer.body, tap: openaiChatTap({ stripUsage: false }), failEvent: (error) => error.message },
          response,
          {
            wheel,
          },
        );
      else await passWhole(answer, response);
    })();
  });
}

async function passWhole(answer: UpstreamAnswer, response: ServerResponse): Promise<void> {
  const collected = await collect(answer.body, { maxBytes: 1024 * 1024, contentLength: answer.headers['content-length'] });
  if ('whole' in collected) response.end(collected.whole);
}

function serveUpstream(): void {
  const server = createServer((message, response) => {
    message.resume().on('end', () => {
      if (message.url === '/unary') {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': ANSWER.length }).end(ANSWER);
        return;
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      if (message.url === '/burst') burst(response);
      else paced(response, 0);
    });
  }).listen(0, '127.0.0.1', () => parentPort!.postMessage((server.address() as AddressInfo).port));
}

function burst(response: ServerResponse): void {
  for (let event = 0; event < EVENTS; event += 40) response.write(EVENT.repeat(40));
  response.end(DONE);
}

/** Every event a packet of its own. */
function paced(response: ServerResponse, sent: number): void {
  if (sent === EVENTS) return void response.end(DONE);
  response.write(EVENT);
  setImmediate(paced, response, sent + 1);
}

function serveClients(): void {
  parentPort!.on('message', ({ port, work, seconds }: { port: number; work: WorkName; seconds: number }) => {
    void load(port, work, seconds).then((requests) => parentPort!.postMessage(requests));
  });
}

async function load(port: number, work: WorkName, seconds: number): Promise<number> {
  const { path, clients, events } = WORK[work];
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: clients });
  const endsAt = performance.now() + seconds * 1000;
  let requests = 0;
  const one = async (): Promise<void> => {
    while (performance.now() < endsAt) {
      const { body } = await pool.request({ path, method: 'POST', headers: { 'content-type': 'application/json' }, body: SMALL });
      const { length } = await body.text();
      if (length !== (events === 0 ? ANSWER.length : events * EVENT.length + DONE.length))
        throw new Error(`${work}: ${length} bytes`);
      requests++;
    }
  };
  await Promise.all(Array.from({ length: clients }, one));
  await pool.close();
  return requests;
}

if (isMainThread) await main();
else if (workerData === 'upstream') serveUpstream();
else serveClients();
