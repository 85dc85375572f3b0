import { expect, test } from 'vitest';

import { createStoreClient } from './store-rpc.ts';

test('a thread that does not answer is waited for so long and no longer; an answer that comes later is nobody’s', async () => {
  const client = createStoreClient(20);
  const asked: { id: number }[] = [];
  client.connect({ postMessage: (message) => asked.push(message as { id: number }) });
  await expect(client.store.usage.requests({ limit: 1 })).rejects.toMatchObject({
    code: 'store_down',
    message: 'the store does not answer',
  });
  client.take({ type: 'answer', id: asked[0]!.id, value: 'late' });
  const next = client.store.usage.requests({ limit: 1 });
  client.take({ type: 'answer', id: asked[1]!.id, value: 'in time' });
  expect(await next).toBe('in time');
});
