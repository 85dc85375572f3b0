/**
 * One key far over its limit, and what others feel of it: `node bench/noisy-neighbour.ts [seconds]`.
 *
 * A quiet key asks at a steady pace, small bodies, whether it has been answered or not. Beside it a noisy key sends ten times its limit in bodies of 116 KB: by turns of
 * 600 ms to nobody, to another process on the machine, and to Signalbox, so that whatever else goes on disturbs all three alike. Load and upstream are processes of their own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { startSignalbox } from '../test/support/signalbox.ts';

const SECONDS = Number(process.argv[2] ?? 45);
const TURN_S = 0.6;
/** Of each turn: what was sent in the one before may still be under way. */
const FADE_MS = 150;
const QUIET_RPS = 100;
/** In its turn, which is a third of the time. */
const NOISY_RPS = 100;
const NOISY_RPM = Math.round(((NOISY_RPS / 3) * 60) / 10);
const KEYS = { QUIET: 'quiet-key-0123456789abcdef', NOISY: 'noisy-key-0123456789abcdef' };

const children: ChildProcess[] = [];
const start = (...args: string[]): AsyncIterator<string> & { child: ChildProcess } => {
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return Object.assign(lines, { child });
};
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

interface Told {
  statuses: Record<string, number>;
  /** When each call was due, wall clock, and how long it took from then on. */
  calls: [dueAtMs: number, ms: number][];
}

type Pacer = (job: { path: string; key: string; bytes: number; perSecond: number; seconds: number }) => Promise<Told>;

function pacer(url: string): Pacer {
  const lines = start(file('load/pacer.ts'), url);
  return async (job) => {
    lines.child.stdin!.write(`${JSON.stringify(job)}\n`);
    return JSON.parse((await lines.next()).value as string) as Told;
  };
}

const quantile = (values: number[], q: number): number => values.toSorted((a, b) => a - b)[Math.floor(values.length * q)] ?? NaN;

interface Pacers {
  quiet: Pacer;
  noisy: Pacer;
  /** The same noise at another process, which reads it and answers: what the machine itself makes of it. */
  elsewhere: Pacer;
}

const TURNS = ['alone', 'elsewhere', 'here'] as const;
type Turn = (typeof TURNS)[number];

async function compare(title: string, path: string, { quiet, noisy, elsewhere }: Pacers): Promise<void> {
  const turns: { turn: Turn; fromMs: number; toMs: number }[] = [];
  const statuses: Record<string, number> = {};
  const noise = { path: '/v1/chat/completions', key: KEYS.NOISY, bytes: 116_000, perSecond: NOISY_RPS, seconds: TURN_S };
  const asked = quiet({ path, key: KEYS.QUIET, bytes: 300, perSecond: QUIET_RPS, seconds: SECONDS });
  const until = Date.now() + (SECONDS - 2 * TURN_S) * 1000;
  for (let index = 0; Date.now() < until; index++) {
    const turn = TURNS[index % TURNS.length]!;
    const fromMs = Date.now() + FADE_MS;
    if (turn === 'alone') await delay(TURN_S * 1000);
    else if (turn === 'elsewhere') await elsewhere(noise);
    else
      for (const [status, count] of Object.entries((await noisy(noise)).statuses))
        statuses[status] = (statuses[status] ?? 0) + count;
    turns.push({ turn, fromMs, toMs: Date.now() });
  }
  const { calls } = await asked;
  const of = (wanted: Turn): number[] => {
    const mine = turns.filter(({ turn }) => turn === wanted);
    return calls.flatMap(([at, ms]) => (mine.some(({ fromMs, toMs }) => at >= fromMs && at < toMs) ? [ms] : []));
  };
  const told = (turn: Turn): string => `${turn} ${[0.5, 0.9, 0.99].map((q) => quantile(of(turn), q).toFixed(2)).join(' / ')}`;
  const ratio = (base: Turn): string => (quantile(of('here'), 0.99) / quantile(of(base), 0.99)).toFixed(2);
  console.log(`${title}, ${of('here').length} calls each, p50 / p90 / p99 ms: ${TURNS.map(told).join('; ')}`);
  console.log(
    `  p99 × ${ratio('alone')} of alone, × ${ratio('elsewhere')} of noise elsewhere; the noise: ${JSON.stringify(statuses)}`,
  );
}

const upstreamPort = (await start(file('load/upstream.ts')).next()).value as string;
const box = await startSignalbox({
  config: `
server: { workers: 2 }
providers: { lab: { type: openai-compatible, base_url: "http://127.0.0.1:${upstreamPort}/v1", api_key: none } }
models: [{ name: m, targets: [{ provider: lab, model: up }] }]
keys:
  - { name: quiet, key: "\${env:QUIET}" }
  - { name: noisy, key: "\${env:NOISY}", limits: { rpm: ${NOISY_RPM} } }
admin: { key: "\${env:ADMIN}" }
`,
  env: { ...KEYS, ADMIN: 'admin-key-0123456789abcdef' },
});
try {
  const pacers = { quiet: pacer(box.url), noisy: pacer(box.url), elsewhere: pacer(`http://127.0.0.1:${upstreamPort}`) };
  await pacers.quiet({ path: '/v1/chat/completions', key: KEYS.QUIET, bytes: 300, perSecond: 200, seconds: 3 });
  await pacers.noisy({ path: '/v1/chat/completions', key: KEYS.NOISY, bytes: 116_000, perSecond: 200, seconds: 3 });
  await delay(500);
  await compare('an upstream that answers at once', '/v1/chat/completions', pacers);
  await compare('one that takes 100 ms', '/v1/chat/completions?bench=think', pacers);
} finally {
  for (const child of children) child.kill('SIGKILL');
  await box.stop();
}
