/**
 * What the edge costs over a bare node:http server: CPU of the server's thread per request, both measured in turns in one run.
 *
 *     node bench/edge.ts [requests per round]
 */
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

import { createEdge } from '../src/http/server.ts';
import { sendJson } from '../src/http/reply.ts';

const ANSWER = Buffer.from(
  JSON.stringify({ id: 'chatcmpl-1', choices: [{ message: { role: 'assistant', content: 'x'.repeat(120) } }] }),
);
const BODY = JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'x'.repeat(240) }] });
/** As the openai SDK sends them. */
const HEAD = [
  'POST /v1/chat/completions HTTP/1.1',
  'Host: 127.0.0.1:4000',
  'Accept: application/json',
  'Content-Type: application/json',
  'User-Agent: OpenAI/JS 7.57.0',
  'X-Stainless-Retry-Count: 0',
  'X-Stainless-Timeout: 600',
  'X-Stainless-Lang: js',
  'X-Stainless-Package-Version: 7.57.0',
  'X-Stainless-OS: Linux',
  'X-Stainless-Arch: x64',
  'X-Stainless-Runtime: node',
  'X-Stainless-Runtime-Version: v26.10.0',
  'Authorization: Bearer sk-sb-0123456789012345678901234567890123456789012',
  'Connection: keep-alive',
  `Content-Length: ${BODY.length}`,
];
const REQUEST = Buffer.from(`${HEAD.join('\r\n')}\r\n\r\n${BODY}`);

const CONNECTIONS = 16;
const ROUNDS = 10;

type Kind = 'bare' | 'edge';

async function serve(kind: Kind): Promise<number> {
  if (kind === 'edge') {
    const edge = createEdge({
      settings: () => SETTINGS,
      routes: [
        {
          method: 'POST',
          path: '/v1/chat/completions',
          policy: { access: 'key', body: 'json', errors: 'openai' },
          async handle(request, response) {
            const body = await request.body();
            request.onGone(() => undefined);
            sendJson(response, 200, { 'x-request-id': request.id, 'x-bytes': String(body.length) }, ANSWER);
          },
        },
      ],
      errors: () => (error) => ({ error: error.code }),
      newRequestId: () => 'req_0123456789',
      reserveBytes: () => true,
      releaseBytes: () => undefined,
      onFailure: () => undefined,
    });
    return (await edge.listen({ host: '127.0.0.1', port: 0 })).port;
  }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      response.writeHead(200, {
        'content-type': 'application/json',
        'x-request-id': 'req_0123456789',
        'x-bytes': String(body.length),
        'content-length': ANSWER.length,
      });
      response.end(ANSWER);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const SETTINGS = {
  maxBodyBytes: 32 * 1024 * 1024,
  maxHeaderBytes: 16_384,
  headersTimeoutMs: 20_000,
  bodyTimeoutMs: 120_000,
  keepAliveTimeoutMs: 75_000,
  trustedProxies: [],
};

/**
 * One request after another on each connection; resolves when `requests` were answered. The loop spins meanwhile: a client that sleeps
 * would make the server pay for waking it, the more so the slower the server is.
 */
function load(port: number, requests: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let spinning = true;
    const turn = (): void => void (spinning && setImmediate(turn));
    turn();
    let sent = 0;
    let answered = 0;
    const sockets = Array.from({ length: CONNECTIONS }, () => {
      const socket = connect(port, '127.0.0.1').on('error', reject);
      const next = (): void => {
        if (sent >= requests) return;
        sent += 1;
        socket.write(REQUEST);
      };
      socket.on('connect', next).on('data', () => {
        answered += 1;
        if (answered < requests) return next();
        for (const each of sockets) each.destroy();
        spinning = false;
        resolve();
      });
      return socket;
    });
  });
}

interface Server {
  port: number;
  cpuMicros: () => Promise<number>;
  stop: () => Promise<number>;
}

async function startServer(kind: Kind): Promise<Server> {
  const worker = new Worker(new URL(import.meta.url), { workerData: kind });
  const once = <T>(): Promise<T> => new Promise((resolve) => worker.once('message', resolve));
  const port = await once<number>();
  return {
    port,
    cpuMicros() {
      const answer = once<number>();
      worker.postMessage('cpu');
      return answer;
    },
    stop: () => worker.terminate(),
  };
}

async function main(requests: number): Promise<void> {
  const servers = { bare: await startServer('bare'), edge: await startServer('edge') };
  const micros: Record<Kind, number[]> = { bare: [], edge: [] };
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const kind of ['bare', 'edge'] as const) {
      const before = await servers[kind].cpuMicros();
      await load(servers[kind].port, requests);
      const spent = (await servers[kind].cpuMicros()) - before;
      // The first round warms up.
      if (round > 0) micros[kind].push(spent / requests);
    }
  }
  const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
  const [bare, edge] = [median(micros.bare), median(micros.edge)];
  console.log(`bare node:http  ${bare.toFixed(1)} µs CPU per request`);
  console.log(`edge            ${edge.toFixed(1)} µs CPU per request`);
  console.log(`ratio           ${(edge / bare).toFixed(2)} (+${(edge - bare).toFixed(1)} µs)`);
  await Promise.all([servers.bare.stop(), servers.edge.stop()]);
}

if (isMainThread) {
  await main(Number(process.argv[2] ?? 10_000));
} else {
  parentPort?.on('message', () => {
    const { user, system } = process.threadCpuUsage();
    parentPort?.postMessage(user + system);
  });
  parentPort?.postMessage(await serve(workerData as Kind));
}
