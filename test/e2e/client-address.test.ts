/** Whose address the log names: the connection's own, or what a proxy that is trusted says. */
import { afterAll, expect, test } from 'vitest';

import { ask } from '../support/ask.ts';
import { exchangeLog } from '../support/exchange-log.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

const KEY = 'client-address-key-0123456789';
const boxes: Signalbox[] = [];

afterAll(async () => {
  await Promise.all(boxes.map((box) => box.stop()));
});

async function loggedAddress(trusted: string[]): Promise<unknown> {
  const box = await startSignalbox({
    config: `
server: { workers: 1, trusted_proxies: ${JSON.stringify(trusted)} }
providers: { demo: {} }
models: [{ name: demo, targets: [{ provider: demo, model: demo }] }]
keys: [{ name: k, key: "\${env:KEY}", models: ["*"] }]
`,
    env: { KEY },
  });
  boxes.push(box);
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', 'x-forwarded-for': '203.0.113.7' };
  const body = JSON.stringify({ model: 'demo', max_tokens: 1, messages: [{ role: 'user', content: 'Hello' }] });
  const answer = await ask(`${box.url}/v1/chat/completions`, { method: 'POST', headers, body });
  expect(answer.status).toBe(200);
  const line = await exchangeLog(box).of(String(answer.headers['x-request-id']));
  return line['client_ip'];
}

test('a stranger is not believed about where it comes from', async () => {
  expect(await loggedAddress([])).toBe('127.0.0.1');
});

test('a trusted proxy is', async () => {
  expect(await loggedAddress(['127.0.0.0/8'])).toBe('203.0.113.7');
});
