/**
 * `npm run bench [-- --quick]`: Signalbox against baselines measured in the same run, as ratios. CPU is read from the kernel's
 * account of the proxy's process (all threads), so that neighbours on the machine disturb it least.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import type { Job, Result } from './load/client.ts';

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const root = here('..');
const quick = process.argv.includes('--quick');
const scale = quick ? 0.2 : 1;
const scratch = mkdtempSync(join(tmpdir(), 'signalbox-bench-'));
const children: ChildProcess[] = [];
const KEY = 'bench-key-0123456789abcdef';

interface Proxy {
  name: string;
  pid: number;
  url: string;
  headers: Record<string, string>;
  model: string;
}

interface Measured extends Result {
  cpuUs: number;
  rssMb: number;
}

try {
  await main();
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(scratch, { recursive: true, force: true });
}

async function main(): Promise<void> {
  const upstreamPort = Number(await firstLine(start(process.execPath, [here('load/upstream.ts')])));
  const client = startClient();
  const proxies = await startProxies(upstreamPort);
  print(
    `# ${new Date().toISOString().slice(0, 10)} · Node ${process.version} · ${cpus().length} × ${cpus()[0]!.model} · npm run bench${quick ? ' -- --quick' : ''}`,
  );
  await table('300 B chat, unary, 16 connections', proxies, client, {
    work: 'small',
    stream: false,
    connections: 16,
    requests: Math.round(20_000 * scale),
    mode: '',
  });
  await table('116 KB with 24 tools, stream of 800 events, 8 connections', proxies, client, {
    work: 'large',
    stream: true,
    connections: 8,
    requests: Math.round(1_500 * scale),
    mode: 'stream',
  });
  await table('300 B chat, unary, 1 connection: added latency', proxies, client, {
    work: 'small',
    stream: false,
    connections: 1,
    requests: Math.round(4_000 * scale),
    mode: '',
  });
  await paced(proxies, client);
  await memory(proxies, client);
}

async function startProxies(upstreamPort: number): Promise<Proxy[]> {
  const direct: Proxy = {
    name: 'direct',
    pid: 0,
    url: `http://127.0.0.1:${upstreamPort}/v1/chat/completions`,
    headers: {},
    model: 'bench-model',
  };
  const proxies = [direct];
  for (const [name, file] of [
    ['byte pipe', 'load/byte-pipe.ts'],
    ['minimal relay', 'load/minimal-relay.ts'],
  ] as const) {
    const child = start(process.execPath, [here(file), String(upstreamPort)]);
    proxies.push({ ...direct, name, pid: child.pid!, url: `http://127.0.0.1:${await firstLine(child)}/v1/chat/completions` });
  }
  if (existsSync('/usr/sbin/nginx')) proxies.push(await startNginx(upstreamPort, direct));
  else print('(nginx is not installed: left out)');
  proxies.push(await startSignalbox(1, upstreamPort), await startSignalbox(2, upstreamPort));
  proxies.push(await startPortkey(upstreamPort, direct));
  return proxies;
}

async function startSignalbox(workers: number, upstreamPort: number): Promise<Proxy> {
  const config = join(scratch, `signalbox-${workers}.yaml`);
  writeFileSync(
    config,
    `server: { workers: ${workers} }
providers: { bench: { type: openai-compatible, base_url: "http://127.0.0.1:${upstreamPort}/v1", api_key: none } }
models: [{ name: bench, targets: [{ provider: bench, model: bench-model, price: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 } }] }]
keys: [{ name: bench, key: "\${env:BENCH_KEY}", models: ["*"] }]
telemetry: { log: { format: json } }
`,
  );
  const dist = join(root, 'dist/main.js');
  const args = [dist, 'serve', '--config', config, '--port', '0', '--data', mkdtempSync(join(scratch, 'data-'))];
  const child = start(process.execPath, args, { BENCH_KEY: KEY });
  const line = await lineWith(child, 'signalbox listening on ');
  const url = `${line.split(' ').at(-1)}/v1/chat/completions`;
  return {
    name: `signalbox, ${workers} worker${workers > 1 ? 's' : ''}`,
    pid: child.pid!,
    url,
    headers: { authorization: `Bearer ${KEY}` },
    model: 'bench',
  };
}

async function startNginx(upstreamPort: number, direct: Proxy): Promise<Proxy> {
  const port = 20_000 + Math.floor(Math.random() * 10_000);
  const config = join(scratch, 'nginx.conf');
  writeFileSync(
    config,
    `daemon off; master_process off; pid ${scratch}/nginx.pid; error_log /dev/null; worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http { access_log off; client_body_temp_path ${scratch}/nb; proxy_temp_path ${scratch}/np; fastcgi_temp_path ${scratch}/nf; uwsgi_temp_path ${scratch}/nu; scgi_temp_path ${scratch}/ns;
  client_body_buffer_size 1m; client_max_body_size 32m;
  upstream up { server 127.0.0.1:${upstreamPort}; keepalive 512; }
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } } }`,
  );
  const child = start('/usr/sbin/nginx', ['-c', config]);
  await delay(500);
  return { ...direct, name: 'nginx', pid: child.pid!, url: `http://127.0.0.1:${port}/v1/chat/completions` };
}

async function startPortkey(upstreamPort: number, direct: Proxy): Promise<Proxy> {
  const port = 30_000 + Math.floor(Math.random() * 10_000);
  const child = start(
    process.execPath,
    [fileURLToPath(import.meta.resolve('@portkey-ai/gateway/build/start-server.js')), `--port=${port}`, '--headless'],
    { NODE_ENV: 'production' },
  );
  const url = `http://127.0.0.1:${port}/v1/chat/completions`;
  for (let tries = 0; tries < 100; tries++) {
    await delay(100);
    if (
      await fetch(`http://127.0.0.1:${port}/`).then(
        () => true,
        () => false,
      )
    )
      break;
  }
  const headers = {
    authorization: 'Bearer sk-upstream',
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': `http://127.0.0.1:${upstreamPort}/v1`,
  };
  return { ...direct, name: '@portkey-ai/gateway', pid: child.pid!, url, headers };
}

type Load = Pick<Job, 'work' | 'stream' | 'connections' | 'requests'> & { mode: string };

async function measure(proxy: Proxy, client: Client, load: Load): Promise<Measured> {
  const { mode, ...rest } = load;
  // Portkey drops the query and unknown headers, so the mode travels as a forwarded header there.
  const url = mode === '' ? proxy.url : `${proxy.url}?bench=${mode}`;
  const headers = mode === '' ? proxy.headers : { ...proxy.headers, 'x-bench': mode, 'x-portkey-forward-headers': 'x-bench' };
  const job: Job = { ...rest, url, headers, model: proxy.model };
  // Long enough that what is measured is the compiled program, not its compiling.
  await client({ ...job, requests: Math.ceil(job.requests / 4) });
  const before = cpuUs(proxy.pid);
  const result = await client(job);
  await delay(300);
  return { ...result, cpuUs: (cpuUs(proxy.pid) - before) / result.requests, rssMb: rssMb(proxy.pid) };
}

async function table(title: string, proxies: Proxy[], client: Client, load: Load): Promise<void> {
  print(`\n## ${title}`);
  const rows: { proxy: Proxy; measured: Measured }[] = [];
  for (const proxy of proxies) {
    // Portkey is slow enough that a fifth of the work tells as much.
    const requests = proxy.name.startsWith('@portkey') ? Math.ceil(load.requests / 5) : load.requests;
    rows.push({ proxy, measured: await measure(proxy, client, { ...load, requests }) });
  }
  const of = (name: string): Measured => rows.find((row) => row.proxy.name === name)!.measured;
  print(
    '| | CPU µs/request | × minimal relay | × byte pipe | requests/s | p50 ms | p99 ms | added p50 | first chunk p50 | failed |',
  );
  print('|---|---|---|---|---|---|---|---|---|---|');
  for (const { proxy, measured: m } of rows) {
    const ratio = (base: string): string => (proxy.pid === 0 ? '' : (m.cpuUs / of(base).cpuUs).toFixed(2));
    const cells = [
      proxy.name,
      proxy.pid === 0 ? '' : m.cpuUs.toFixed(0),
      ratio('minimal relay'),
      ratio('byte pipe'),
      (m.requests / m.seconds).toFixed(0),
      m.p50Ms.toFixed(2),
      m.p99Ms.toFixed(2),
      (m.p50Ms - of('direct').p50Ms).toFixed(2),
      m.firstChunkP50Ms.toFixed(2),
      String(m.failed),
    ];
    print(`| ${cells.join(' | ')} |`);
  }
}

/** 500 streams × 20 events a second: how much later does an event arrive than it would without a proxy? */
async function paced(proxies: Proxy[], client: Client): Promise<void> {
  print('\n## 500 streams × 20 events/s: from the upstream to the client, per event');
  print('| | p50 ms | p99 ms | added p50 | added p99 |\n|---|---|---|---|---|');
  let base: Measured | undefined;
  for (const proxy of proxies.filter(
    ({ name }) => name === 'direct' || name === 'minimal relay' || name.startsWith('signalbox'),
  )) {
    const m = await measurePaced(proxy, client);
    base ??= m;
    print(
      `| ${proxy.name} | ${m.gapP50Ms!.toFixed(2)} | ${m.gapP99Ms!.toFixed(2)} | ${(m.gapP50Ms! - base.gapP50Ms!).toFixed(2)} | ${(m.gapP99Ms! - base.gapP99Ms!).toFixed(2)} |`,
    );
  }
}

async function measurePaced(proxy: Proxy, client: Client): Promise<Measured> {
  const job: Job = {
    url: `${proxy.url}?bench=paced`,
    headers: proxy.headers,
    model: proxy.model,
    work: 'small',
    stream: true,
    connections: 500,
    requests: 500,
  };
  return { ...(await client(job)), cpuUs: 0, rssMb: 0 };
}

async function memory(proxies: Proxy[], client: Client): Promise<void> {
  const one = proxies.find(({ name }) => name === 'signalbox, 1 worker')!;
  const fresh = await startSignalbox(1, Number(new URL(proxies[0]!.url).port));
  await delay(1000);
  const idle = rssMb(fresh.pid);
  let peak = 0;
  const timer = setInterval(() => {
    peak = Math.max(peak, rssMb(fresh.pid));
  }, 50);
  await client({
    url: `${fresh.url}?bench=hold`,
    headers: fresh.headers,
    model: fresh.model,
    work: 'body',
    stream: false,
    connections: 500,
    requests: 500,
  });
  clearInterval(timer);
  print(
    `\n## Memory, 1 worker\nidle after start ${idle.toFixed(0)} MB · 500 concurrent requests of 150 KB: peak ${peak.toFixed(0)} MB · after all loads above ${rssMb(one.pid).toFixed(0)} MB`,
  );
}

function start(command: string, args: string[], env: Record<string, string> = {}): ChildProcess {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'], env: { ...process.env, ...env } });
  children.push(child);
  return child;
}

async function firstLine(child: ChildProcess): Promise<string> {
  return lineWith(child, '');
}

async function lineWith(child: ChildProcess, part: string): Promise<string> {
  for await (const line of createInterface({ input: child.stdout! })) if (line.includes(part)) return line;
  throw new Error(`${child.spawnargs.join(' ')} ended before it was ready`);
}

type Client = (job: Job) => Promise<Result>;

function startClient(): Client {
  const child = start(process.execPath, [here('load/client.ts')]);
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return async (job) => {
    child.stdin!.write(`${JSON.stringify(job)}\n`);
    const { value } = await lines.next();
    return JSON.parse(value as string) as Result;
  };
}

/** User and system time of all threads so far (proc(5), fields 14 and 15, in ticks of 10 ms). */
function cpuUs(pid: number): number {
  if (pid === 0) return 0;
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

function rssMb(pid: number): number {
  if (pid === 0) return 0;
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
