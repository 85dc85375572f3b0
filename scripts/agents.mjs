/**
 * Runs real command-line agents against Signalbox, headless, one prompt each: `npm run test:agents [-- --keep]`. They are installed from npm into
 * a scratch folder, never among the dependencies (over 1 GB), without their install scripts. `--keep` leaves the folder for the next time.
 * Exits 1 where an agent cannot be installed, fails, or does not say the word that only the file and its tool could tell it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

import { RUNS, VERSIONS } from './agents/runs.mjs';
import { sentenceWith, startUpstream } from './agents/upstream.mjs';

const ROOT = join(import.meta.dirname, '..');
const WORD = 'lantern-4711';
const RUN_MS = 120_000;
/** Agents run on the machine's own Node, as they do for their users, not on the clone's: Qwen Code 0.15 cannot connect to anything on Node 26. */
const MACHINE_NODE = machineNode();
const keyOf = (at) => `key-of-agent-run-number-${at}`;

function machineNode() {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'));
  return folders.map((folder) => join(folder, 'node')).find((path) => existsSync(path)) ?? process.execPath;
}

/** The folder of the packages; installs them where the same versions are not already there. */
function install() {
  const folder = join(tmpdir(), 'signalbox-agents');
  const wanted = JSON.stringify({ private: true, dependencies: VERSIONS });
  const manifest = join(folder, 'package.json');
  const packages = join(folder, 'node_modules');
  const isThere = existsSync(packages) && existsSync(manifest) && readFileSync(manifest, 'utf8') === wanted;
  if (!isThere) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    writeFileSync(manifest, wanted);
    console.log(
      `installing ${Object.entries(VERSIONS)
        .map((entry) => entry.join(' '))
        .join(', ')} …`,
    );
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
    const { status } = spawnSync('npm', args, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
    // What was half installed must not pass for whole the next time.
    if (status !== 0) {
      rmSync(folder, { recursive: true, force: true });
      throw new Error(`npm ${args.join(' ')} failed`);
    }
  }
  return { folder, packages };
}

function configOf(upstreamUrl) {
  const model = (name, provider) => ({ name, targets: [{ provider, model: 'upstream-model', price: 'free' }] });
  return {
    server: { workers: 1 },
    providers: {
      chat: { type: 'openai-compatible', base_url: `${upstreamUrl}/v1`, api_key: 'none' },
      openai: { type: 'openai', base_url: `${upstreamUrl}/v1`, api_key: 'none' },
      anthropic: { type: 'anthropic', base_url: upstreamUrl, api_key: 'none' },
    },
    models: [model('by-chat', 'chat'), model('by-responses', 'openai'), model('by-messages', 'anthropic')],
    keys: RUNS.map((_run, at) => ({ name: `run-${at}`, key: `\${env:AGENT_KEY_${at}}`, models: ['*'] })),
    telemetry: { log: { format: 'json' } },
  };
}

/** Signalbox in a process of its own; `lines` are its exchanges so far. */
async function startSignalbox(scratch, upstreamUrl) {
  const config = join(scratch, 'gateway.json');
  writeFileSync(config, JSON.stringify(configOf(upstreamUrl)));
  const args = ['dist/main.js', 'serve', '--config', config, '--port', '0', '--data', join(scratch, 'data')];
  const keys = Object.fromEntries(RUNS.map((_run, at) => [`AGENT_KEY_${at}`, keyOf(at)]));
  const child = spawn(process.execPath, args, { cwd: ROOT, env: { PATH: process.env.PATH, ...keys } });
  let out = '';
  let log = '';
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (log += chunk));
  const exited = once(child, 'exit');
  const ready = () => /^signalbox listening on (\S+)$/m.exec(out)?.[1];
  while (ready() === undefined) {
    const ended = await Promise.race([once(child.stdout, 'data'), exited.then(() => 'ended')]);
    if (ended === 'ended' && ready() === undefined) throw new Error(`Signalbox did not start:\n${out}${log}`);
  }
  return {
    url: ready(),
    lines: () =>
      log
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line))
        .filter(({ msg }) => msg === 'exchange'),
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** One agent, one prompt, in an empty home beside the file it is to read. */
async function runAgent(run, { packages, scratch, work, url, key }) {
  const home = mkdtempSync(join(scratch, 'home-'));
  const { script, file, args, env } = run.prepare({ packages, home, url, model: run.model, key });
  const bare = { PATH: process.env.PATH, HOME: home, CI: '1', NO_PROXY: '127.0.0.1', TERM: 'dumb' };
  const child = spawn(file ?? MACHINE_NODE, file === undefined ? [script, ...args] : args, {
    cwd: work,
    env: { ...bare, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that what it has started ends with it.
    detached: true,
  });
  let out = '';
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (out += chunk));
  const startedAt = performance.now();
  const timer = setTimeout(() => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL'), RUN_MS);
  const [code, signal] = await Promise.race([once(child, 'close'), once(child, 'error').then(([error]) => [error.code, null])]);
  clearTimeout(timer);
  return { code: code ?? signal, out, seconds: (performance.now() - startedAt) / 1000 };
}

/** What Signalbox saw, as `surface status × count`. */
function seen(lines) {
  const counts = new Map();
  for (const { surface, status } of lines) counts.set(`${surface} ${status}`, (counts.get(`${surface} ${status}`) ?? 0) + 1);
  return [...counts].map(([what, count]) => `${what} × ${count}`).join(', ') || 'nothing';
}

function judge(run, { code, out }, lines) {
  if (run.refused !== undefined) {
    const told = out.includes(run.refused) && lines.every(({ status }) => status === 400);
    return { ok: code !== 0 && told, answer: told ? 'our refusal' : 'no refusal' };
  }
  const hasWord = out.includes(sentenceWith(WORD));
  const asked = lines.some(({ surface, status, outcome }) => surface === run.surface && status === 200 && outcome === 'ok');
  return { ok: code === 0 && hasWord && asked, answer: hasWord ? 'the word of the file' : 'no word' };
}

/** All runs, one after the other, each told as it ends. */
async function runAll({ packages, scratch, work, box }) {
  const rows = [];
  for (const [at, run] of RUNS.entries()) {
    const result = await runAgent(run, { packages, scratch, work, url: box.url, key: keyOf(at) });
    // Facts reach the log within a moment of the answer.
    await new Promise((resolve) => setTimeout(resolve, 700));
    const lines = box.lines().filter(({ key }) => key === `run-${at}`);
    const { ok, answer } = judge(run, result, lines);
    const row = {
      agent: run.name,
      provider: run.provider,
      exit: result.code,
      answer,
      requests: seen(lines),
      warnings: [...new Set(lines.flatMap((line) => line.warnings ?? []))].join(', '),
      seconds: Number(result.seconds.toFixed(1)),
      result: ok ? 'ok' : 'FAILED',
    };
    rows.push(row);
    console.log(Object.values(row).join(' | '));
    if (!ok) console.log(`--- it said:\n${result.out.slice(-4_000)}\n--- Signalbox saw:\n${JSON.stringify(lines, null, 1)}`);
  }
  return rows;
}

async function main() {
  const { folder, packages } = install();
  const scratch = mkdtempSync(join(tmpdir(), 'signalbox-agents-run-'));
  const work = join(scratch, 'work');
  mkdirSync(work);
  writeFileSync(join(work, 'timetable.txt'), `${WORD}\n`);
  const upstream = await startUpstream(join(work, 'timetable.txt'));
  const box = await startSignalbox(scratch, upstream.url);
  try {
    const rows = await runAll({ packages, scratch, work, box });
    console.log(`\nagents on Node ${spawnSync(MACHINE_NODE, ['--version']).stdout.toString().trim()}`);
    console.table(rows);
    if (rows.some(({ result }) => result !== 'ok')) process.exitCode = 1;
  } finally {
    await box.stop();
    await upstream.close();
    rmSync(scratch, { recursive: true, force: true });
    if (!process.argv.includes('--keep')) rmSync(folder, { recursive: true, force: true });
  }
}

await main();
