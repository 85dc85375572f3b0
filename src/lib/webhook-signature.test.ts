import { createHmac } from 'node:crypto';

import { expect, test } from 'vitest';

import { webhookHeaders, webhookKey } from './webhook-signature.ts';

const body = Buffer.from('{"test": 2432232314}');

/** The example of the specification's own verifiers. */
test('the published example has its published signature', () => {
  const message = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestampS: 1614265330, body };
  expect(webhookHeaders('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', message)).toEqual({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  });
});

test('a secret without the prefix is its own key', () => {
  const secret = 'sixteen-bytes-at-least';
  const expected = createHmac('sha256', secret).update('evt_1.5.').update(body).digest('base64');
  expect(webhookHeaders(secret, { id: 'evt_1', timestampS: 5, body })['webhook-signature']).toBe(`v1,${expected}`);
});

test.each(['', 'too-short', 'whsec_', 'whsec_c2hvcnQ=', 'whsec_not base64 but quite long', 'fifteen-bytes-x'])(
  'the secret %j signs nothing',
  (secret) => {
    expect(webhookKey(secret)).toBeUndefined();
    expect(() => webhookHeaders(secret, { id: 'evt_1', timestampS: 5, body })).toThrow('16 bytes');
  },
);
