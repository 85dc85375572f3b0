import { expect, it } from 'vitest';

import { REQUEST_HEADERS, replyHeaders, upstreamHeaders } from './headers.ts';

it('sends only what is on the list', () => {
  const sent = upstreamHeaders(
    {
      host: 'gateway',
      'content-type': 'application/json',
      accept: 'text/event-stream',
      'anthropic-version': '2026-10-21',
      'anthropic-beta': 'a,b',
      authorization: 'Bearer secret',
      'x-api-key': 'secret',
      cookie: 'a=b',
      'x-stainless-lang': 'js',
      'user-agent': 'Anthropic/JS',
      'content-length': '3',
      connection: 'close',
      te: 'trailers',
    },
    REQUEST_HEADERS['anthropic-messages'],
  );
  expect(sent).toEqual({
    'content-type': 'application/json',
    accept: 'text/event-stream',
    'anthropic-version': '2026-10-21',
    'anthropic-beta': 'a,b',
  });
});

it('returns only what is on the list, the provider id under its own name', () => {
  const back = replyHeaders({
    'content-type': 'application/json',
    'retry-after': '3',
    'x-request-id': 'req_upstream',
    'set-cookie': ['a=b'],
    server: 'cloud',
    'x-goog-api-key': 'secret',
    'openai-organization': 'our-account',
    'anthropic-ratelimit-requests-limit': '50',
    'x-ratelimit-limit-requests': '50',
    'content-encoding': 'gzip',
    'transfer-encoding': 'chunked',
  });
  expect(back).toEqual({
    'content-type': 'application/json',
    'retry-after': '3',
    'x-signalbox-upstream-request-id': 'req_upstream',
  });
  expect(replyHeaders({ 'request-id': 'req_1' })).toEqual({ 'request-id': 'req_1', 'x-signalbox-upstream-request-id': 'req_1' });
});
