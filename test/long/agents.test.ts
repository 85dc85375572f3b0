/**
 * Whose a task is and where it lives, while workers die and the whole process is killed: three replicas of an agent that keep their tasks to themselves, six owners who
 * make, read, list, follow up and cancel at random, and who try to reach what is others'. `SIGNALBOX_AGENTS_S` chooses how long.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { startAgent } from '../support/a2a-agents.ts';
import { INSPECTED, killWorker } from '../support/kill-worker.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

const SECONDS = Number(process.env['SIGNALBOX_AGENTS_S'] ?? 120);
const OWNERS = 6;
const AT_ONCE = 3;
const WORKER_KILL_MS = 4_000;
const PROCESS_KILL_MS = 15_000;

interface Owned {
  id: string;
  text: string;
  context: string;
}

interface Tally {
  made: number;
  read: number;
  foreign: number;
  listed: number;
  broken: number;
  workersKilled: number;
  processesKilled: number;
}

interface Answer {
  status: number;
  result?: Record<string, unknown>;
  code?: number;
}

const keyOf = (owner: number): string => `key-of-the-owner-000${owner}`;

/** Undefined: the connection broke, or nobody was there. */
async function ask(url: string, owner: number, method: string, params: object): Promise<Answer | undefined> {
  try {
    const response = await fetch(`${url}/a2a/three`, {
      method: 'POST',
      headers: { authorization: `Bearer ${keyOf(owner)}`, 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      signal: AbortSignal.timeout(20_000),
    });
    const { result, error } = (await response.json()) as { result?: Record<string, unknown>; error?: { code: number } };
    return { status: response.status, ...(result && { result }), ...(error && { code: error.code }) };
  } catch {
    return undefined;
  }
}

/** The tasks that the events of a stream told of, as far as it came. */
async function stream(url: string, owner: number, params: object): Promise<Owned | undefined> {
  let text = '';
  try {
    const response = await fetch(`${url}/a2a/three`, {
      method: 'POST',
      headers: { authorization: `Bearer ${keyOf(owner)}`, 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'SendStreamingMessage', params }),
      signal: AbortSignal.timeout(20_000),
    });
    for await (const chunk of response.body!) text += Buffer.from(chunk).toString();
  } catch {
    // What came before is told, and must be found.
  }
  const [, event] = /^data: (.*)\n\n/m.exec(text) ?? [];
  const task = event === undefined ? undefined : (JSON.parse(event) as { result?: { task?: TaskJson } }).result?.task;
  return task && { id: task.id, context: task.contextId, text: '' };
}

interface TaskJson {
  id: string;
  contextId: string;
}

test(
  `nothing is lost and nothing leaks in ${SECONDS} s`,
  async () => {
    const home = mkdtempSync(join(tmpdir(), 'signalbox-agents-'));
    const replicas = await Promise.all([0, 1, 2].map((index) => startAgent({ sdk: '1.3.0', name: `replica-${index}` })));
    const owners = Array.from({ length: OWNERS }, (_, owner) => owner);
    const config = JSON.stringify({
      server: { workers: 2 },
      ledger: { sync: 'always' },
      keys: owners.map((owner) => ({ name: `owner-${owner}`, key: `\${env:KEY_${owner}}`, agents: ['three'] })),
      agents: [{ name: 'three', replicas: replicas.map(({ base }, index) => ({ id: `r${index}`, url: base })) }],
    });
    const env = { ...Object.fromEntries(owners.map((owner) => [`KEY_${owner}`, keyOf(owner)])), ...INSPECTED };
    const start = (): Promise<Signalbox> => startSignalbox({ config, env, dataDir: join(home, 'data') });
    let box = await start();
    const known = owners.map((): Owned[] => []);
    const tally: Tally = { made: 0, read: 0, foreign: 0, listed: 0, broken: 0, workersKilled: 0, processesKilled: 0 };
    const wrong: string[] = [];
    const endsAt = Date.now() + SECONDS * 1_000;
    const isOver = (): boolean => Date.now() > endsAt;
    const anyOf = <Item>(items: readonly Item[]): Item | undefined => items[Math.floor(Math.random() * items.length)];

    const make = async (owner: number): Promise<void> => {
      const text = `${owner}-${crypto.randomUUID()}`;
      const message = { messageId: `tck-complete-task-${crypto.randomUUID()}`, role: 'ROLE_USER', parts: [{ text }] };
      if (Math.random() < 0.3) {
        const owned = await stream(box.url, owner, { message });
        if (owned === undefined) tally.broken += 1;
        else known[owner]!.push(owned);
        return;
      }
      const answer = await ask(box.url, owner, 'SendMessage', { message });
      const task = answer?.result?.['task'] as TaskJson | undefined;
      if (task === undefined) return void (tally.broken += 1);
      tally.made += 1;
      known[owner]!.push({ id: task.id, context: task.contextId, text });
    };
    const read = async (owner: number, owned = anyOf(known[owner]!)): Promise<void> => {
      if (owned === undefined) return;
      const answer = await ask(box.url, owner, 'GetTask', { id: owned.id });
      if (answer === undefined || answer.status >= 500) return void (tally.broken += 1);
      tally.read += 1;
      if (answer.result?.['id'] !== owned.id) wrong.push(`${owner} lost ${owned.id}: ${JSON.stringify(answer)}`);
      if (!JSON.stringify(answer.result).includes(owned.text)) wrong.push(`${owned.id} is another task`);
    };
    const reach = async (owner: number): Promise<void> => {
      const other = (owner + 1 + Math.floor(Math.random() * (OWNERS - 1))) % OWNERS;
      const owned = anyOf(known[other]!);
      if (owned === undefined) return;
      const message = { messageId: crypto.randomUUID(), role: 'ROLE_USER', parts: [{ text: 'mine?' }] };
      const [method, params] = anyOf<[string, object]>([
        ['GetTask', { id: owned.id }],
        ['CancelTask', { id: owned.id }],
        ['SendMessage', { message: { ...message, taskId: owned.id } }],
        ['SendMessage', { message: { ...message, contextId: owned.context } }],
      ])!;
      const answer = await ask(box.url, owner, method, params);
      if (answer === undefined || answer.status >= 500) return void (tally.broken += 1);
      tally.foreign += 1;
      if (answer.code !== -32001) wrong.push(`${owner} reached ${owned.id} of ${other} by ${method}: ${JSON.stringify(answer)}`);
    };
    const list = async (owner: number): Promise<void> => {
      const answer = await ask(box.url, owner, 'ListTasks', { pageSize: 20 });
      const tasks = answer?.result?.['tasks'] as TaskJson[] | undefined;
      if (tasks === undefined) return void (tally.broken += 1);
      tally.listed += 1;
      const others = new Set(known.flatMap((owned, index) => (index === owner ? [] : owned.map(({ id }) => id))));
      for (const { id } of tasks) if (others.has(id)) wrong.push(`${owner} was shown ${id}`);
    };
    const live = async (owner: number): Promise<void> => {
      while (!isOver()) await anyOf([make, make, read, read, reach, list])!(owner);
    };
    const kill = async (): Promise<void> => {
      for (let beganAt = Date.now(); !isOver();) {
        await sleep(WORKER_KILL_MS);
        if (Date.now() - beganAt < PROCESS_KILL_MS) {
          await killWorker(box).then(
            () => (tally.workersKilled += 1),
            () => undefined,
          );
          continue;
        }
        box.process.kill('SIGKILL');
        await new Promise((resolve) => box.process.once('exit', resolve));
        tally.processesKilled += 1;
        box = await start();
        beganAt = Date.now();
      }
    };
    try {
      await Promise.all([kill(), ...owners.flatMap((owner) => Array.from({ length: AT_ONCE }, () => live(owner)))]);
      const before = tally.broken;
      for (const owner of owners) for (const owned of known[owner]!) await read(owner, owned);
      process.stdout.write(`${JSON.stringify(tally)}\n`);
      expect(wrong).toEqual([]);
      expect(tally.broken).toBe(before);
      expect(Math.min(tally.made, tally.read, tally.foreign, tally.listed, tally.workersKilled)).toBeGreaterThan(SECONDS / 30);
    } finally {
      await box.stop();
      for (const replica of replicas) await replica.close();
      rmSync(home, { recursive: true, force: true });
    }
  },
  (SECONDS + 300) * 1_000,
);
