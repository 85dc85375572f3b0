/** A client that reads an agent's stream slowly holds the agent back, relayed or translated, and misses nothing. */
import { readFileSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { AGENT_KEYS, type AgentBox, startAgentBox } from '../support/agent-box.ts';
import { type ScriptedAgent, cardAt, json, startScriptedAgent, taskOf } from '../support/scripted-agent.ts';

const MIB = 1024 * 1024;
const EVENTS = 96;
let agent: ScriptedAgent;
let box: AgentBox;
let written = 0;

beforeAll(async () => {
  agent = await startScriptedAgent(async ({ rpc, path }, response) => {
    if (path === '/.well-known/agent-card.json') return json(response, 200, cardAt(agent.url));
    if (rpc?.method !== 'SendStreamingMessage') return json(response, 404, {});
    const id = crypto.randomUUID();
    const write = (result: object): Promise<unknown> => {
      const event = JSON.stringify({ jsonrpc: '2.0', id: rpc.id, result });
      return new Promise((resolve) => response.write(`data: ${event}\n\n`, resolve));
    };
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    await write({ task: taskOf(id, 'TASK_STATE_WORKING') });
    for (written = 0; written < EVENTS && !response.destroyed; written++) {
      const artifact = { artifactId: `piece-${written}`, parts: [{ text: 'y'.repeat(MIB) }] };
      await write({ artifactUpdate: { taskId: id, contextId: `context-of-${id}`, artifact } });
    }
    await write({ statusUpdate: { taskId: id, contextId: `context-of-${id}`, status: { state: 'TASK_STATE_COMPLETED' } } });
    response.end();
    return undefined;
  });
  box = await startAgentBox([{ name: 'one', url: agent.url }]);
});
afterAll(async () => {
  await box?.close();
  await agent?.close();
});

test.each([
  ['relayed', '1.0', 'SendStreamingMessage', { role: 'ROLE_USER', parts: [{ text: 'much' }] }],
  ['translated', '0.3', 'message/stream', { kind: 'message', role: 'user', parts: [{ kind: 'text', text: 'much' }] }],
])('%s: in bounded memory, and all of it arrives in order', async (_, version, method, message) => {
  written = 0;
  const before = await rss();
  const params = { message: { messageId: crypto.randomUUID(), ...message } };
  const socket = post(JSON.stringify({ jsonrpc: '2.0', id: 's', method, params }), version);
  socket.pause();
  await expect.poll(() => written, { timeout: 5_000 }).toBeGreaterThan(0);
  await sleep(1_000);
  const held = written;
  // What the kernel holds on two connections takes some MiB; what is left has to wait.
  expect(held).toBeLessThan(EVENTS / 2);
  expect((await rss()) - before).toBeLessThan(128 * MIB);
  let came = '';
  socket.on('data', (bytes: Buffer) => (came += bytes.toString('latin1').replaceAll(/y{2,}/g, '')));
  socket.resume();
  await new Promise((resolve) => socket.once('close', resolve));
  const pieces = [...came.matchAll(/"artifactId":"(piece-\d+)"/g)].map(([, id]) => id);
  expect(pieces).toEqual(Array.from({ length: EVENTS }, (__, index) => `piece-${index}`));
  expect(came).toMatch(/completed"/i);
});

function post(body: string, version: string): Socket {
  const socket = connect(Number(new URL(box.box.url).port), '127.0.0.1');
  const head = [
    'POST /a2a/one HTTP/1.1',
    'host: 127.0.0.1',
    'connection: close',
    `authorization: Bearer ${AGENT_KEYS.KEY}`,
    'content-type: application/json',
    `a2a-version: ${version}`,
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  return socket;
}

async function rss(): Promise<number> {
  await sleep(100);
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${box.box.process.pid}/status`, 'utf8'))?.[1]) * 1024;
}
