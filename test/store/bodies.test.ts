/** Recorded bodies, from a client's call to an administrator's eyes, and nothing readable in between. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { type Reply, ask, jsonOf } from '../support/ask.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

const SECRETS = {
  RECORDED: 'recorded-key-of-the-bodies-test',
  PLAIN: 'plain-key-of-the-bodies-test',
  ADMIN: 'admin-key-of-the-bodies-test',
};
const CONFIG = `
server: { workers: 1 }
providers: { demo: {} }
models:
  - { name: demo, targets: [{ provider: demo, model: demo }] }
  - { name: watched, record_bodies: true, targets: [{ provider: demo, model: demo }] }
keys:
  - { name: recorded, key: "\${env:RECORDED}", record_bodies: true }
  - { name: plain, key: "\${env:PLAIN}" }
admin: { key: "\${env:ADMIN}" }
`;
const PATIENTLY = { timeout: 10_000, interval: 50 };
const SAID = 'the heron waits in the reeds';

let home = '';
let box: Signalbox;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'signalbox-bodies-'));
  box = await startSignalbox({ config: CONFIG, env: SECRETS, dataDir: join(home, 'data') });
});
afterAll(async () => {
  await box?.stop();
  rmSync(home, { recursive: true, force: true });
});

async function chat(key: string, change: object = {}): Promise<{ reply: Reply; sent: string; id: string }> {
  const sent = JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: SAID }], ...change });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const reply = await ask(`${box.url}/v1/chat/completions`, { headers, body: sent });
  expect(reply.status).toBe(200);
  const path = `/admin/v1/requests?request_id=${reply.headers['x-request-id']}`;
  await expect.poll(async () => jsonOf(await admin(path))['data'], PATIENTLY).toHaveLength(1);
  const [{ id }] = jsonOf(await admin(path))['data'] as [{ id: string }];
  return { reply, sent, id };
}

function admin(path: string): Promise<Reply> {
  return ask(`${box.url}${path}`, { headers: { authorization: `Bearer ${SECRETS.ADMIN}` } });
}

async function bodies(id: string): Promise<unknown> {
  return jsonOf(await admin(`/admin/v1/requests/${id}/bodies`))['data'];
}

test('what a recorded key sent and was sent can be read by an administrator, and by nobody who reads the files', async () => {
  const { reply, sent, id } = await chat(SECRETS.RECORDED);
  expect(await bodies(id)).toMatchObject([
    { part: 'request', text: sent, bytes: sent.length },
    { part: 'response', text: reply.text, bytes: reply.bytes.length },
  ]);
  const data = join(home, 'data');
  for (const name of readdirSync(data, { recursive: true, encoding: 'utf8' })) {
    if (/\.(db|db-wal|jnl|read)$/.test(name)) expect(readFileSync(join(data, name)).includes(SAID)).toBe(false);
  }
});

test('streams are recorded as they were sent, too', async () => {
  const { reply, id } = await chat(SECRETS.RECORDED, { stream: true });
  expect(reply.text).toContain('[DONE]');
  expect(await bodies(id)).toMatchObject([{ part: 'request' }, { part: 'response', text: reply.text }]);
});

test('a body beyond what a record holds is cut, and says how long it was', async () => {
  const long = 'x'.repeat(400_000);
  const { sent, id } = await chat(SECRETS.RECORDED, { messages: [{ role: 'user', content: long }] });
  const [request] = (await bodies(id)) as [{ text: string; bytes: number }];
  expect(request.bytes).toBe(sent.length);
  expect(request.text).toBe(sent.slice(0, 256 * 1024));
});

test('a model can have all its bodies recorded; of others nothing is kept', async () => {
  const watched = await chat(SECRETS.PLAIN, { model: 'watched' });
  expect(await bodies(watched.id)).toMatchObject([{ text: watched.sent }, { text: watched.reply.text }]);
  const plain = await chat(SECRETS.PLAIN);
  expect(await bodies(plain.id)).toEqual([]);
  expect((await admin('/admin/v1/requests/ex_nothing/bodies')).status).toBe(404);
});

test('a child of a recorded key is recorded', async () => {
  const made = await ask(`${box.url}/admin/v1/keys`, {
    headers: { authorization: `Bearer ${SECRETS.ADMIN}` },
    body: { name: 'child', parent: 'recorded' },
  });
  const { sent, id } = await chat((jsonOf(made) as { key: string }).key);
  expect(await bodies(id)).toMatchObject([{ part: 'request', text: sent }, { part: 'response' }]);
});
