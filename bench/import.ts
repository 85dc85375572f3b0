/**
 * Facts per second from journals into the store, SQLite as it is in production. `node bench/import.ts [exchanges] [store URL]`.
 * Each exchange is two facts: its reservation and its end. The baseline is reading and parsing the same journals. Fails below 20,000 facts per second of CPU on
 * SQLite: neighbours on the machine cost time, but hardly that.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ExchangeFact } from '../src/core/exchange.ts';
import type { Fact, ReserveFact } from '../src/core/fact.ts';
import { createIdSource } from '../src/lib/ids.ts';
import { createJournalImport } from '../src/runtime/journal-import.ts';
import { FRAME_HEADER_BYTES, readFrames, writeFrame } from '../src/runtime/journal-frame.ts';
import { openStore } from '../src/store/sql/open.ts';
import { exchangeFact, reserveFact } from '../test/support/facts.ts';

const LEAST_PER_CPU_SECOND = 20_000;
const SEGMENT_FACTS = 15_000;

const exchanges = Number(process.argv[2] ?? 60_000);
const home = mkdtempSync(join(tmpdir(), 'signalbox-import-'));
const url = process.argv[3] ?? join(home, 'store.db');
try {
  const bytes = writeJournals(home, exchanges);
  const parsing = cpuSeconds(() => parseJournals(home));
  const store = await openStore(url);
  const log = (_level: string, _fields: object, message: string): void => console.log(message);
  const journals = createJournalImport({ store, node: 'bench', dir: home, log });
  const at = performance.now();
  const cpu = process.cpuUsage();
  await journals.open([]);
  while (await journals.step());
  const seconds = (performance.now() - at) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const cpuS = (user + system) / 1e6;
  const { facts } = journals.counts();
  const perCpuSecond = Math.round(facts / cpuS);
  const { entries, differences } = await store.ledger.verify();
  await store.close();
  const mib = (size: number): string => (size / 2 ** 20).toFixed(0);
  const stored = url.startsWith('postgres') ? '' : `, store ${mib(statSync(url).size)} MiB`;
  console.log(
    `${facts} facts (${mib(bytes)} MiB of journal${stored}) in ${seconds.toFixed(2)} s: ${Math.round(facts / seconds)} facts/s`,
  );
  console.log(
    `${cpuS.toFixed(2)} s of CPU: ${perCpuSecond} facts per second of CPU, ${(cpuS / parsing).toFixed(1)} × reading and parsing them`,
  );
  console.log(`ledger: ${entries} entries, ${differences.length} differences`);
  if (facts !== 2 * exchanges || entries !== exchanges || differences.length > 0) process.exitCode = 1;
  if (!url.startsWith('postgres') && perCpuSecond < LEAST_PER_CPU_SECOND) process.exitCode = 1;
} finally {
  rmSync(home, { recursive: true, force: true });
}

function cpuSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function parseJournals(dir: string): void {
  for (const file of readdirSync(dir)) {
    for (const payload of readFrames(readFileSync(join(dir, file))).payloads) JSON.parse(payload);
  }
}

/** Some minutes of a busy gateway: 40 keys of 8 teams, 6 models, 500 end users. */
function writeJournals(dir: string, count: number): number {
  const ids = createIdSource(randomBytes);
  const startMs = Date.UTC(2026, 2, 2, 10);
  let bytes = 0;
  let pending: Fact[] = [];
  let segment = 0;
  const write = (): void => {
    const frames = pending.map((fact) => frameOf(fact));
    bytes += frames.reduce((sum, frame) => sum + frame.length, 0);
    writeFileSync(join(dir, `w0-b-${String(segment++).padStart(6, '0')}.jnl.read`), Buffer.concat(frames));
    pending = [];
  };
  for (let index = 0; index < count; index++) {
    const atMs = startMs + index * 5;
    pending.push(...factsOf(ids.exchangeId(atMs), atMs, index));
    if (pending.length >= SEGMENT_FACTS) write();
  }
  write();
  return bytes;
}

function factsOf(id: string, atMs: number, index: number): [ReserveFact, ExchangeFact] {
  const [key, model, provider] = [`key-${index % 40}`, `model-${index % 6}`, `provider-${index % 3}`];
  const scopes = [
    `key:${key}`,
    `user:usr_${index % 20}`,
    `team:team_${index % 8}`,
    'org:org_1',
    `tag:tag-${index % 4}`,
    `model:${model}`,
    `provider:${provider}`,
    `end_user:person-${index % 500}`,
  ] as const;
  const target = `${provider}/${model}-upstream`;
  const own = exchangeFact(id, { key, model, provider, target, scopes, atMs, endUser: `person-${index % 500}` });
  const attempts = own.attempts.map((attempt) => ({ ...attempt, provider, target, startedAtMs: atMs + 0.5 }));
  return [reserveFact(id, { atMs, scopes, key, model, provider, target }), { ...own, attempts }];
}

function frameOf(fact: Fact): Buffer {
  const text = JSON.stringify(fact);
  const length = Buffer.byteLength(text);
  const frame = Buffer.alloc(length + FRAME_HEADER_BYTES);
  writeFrame(frame, 0, text, length);
  return frame;
}
