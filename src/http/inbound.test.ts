import type { IncomingMessage } from 'node:http';

import { expect, it } from 'vitest';

import { declaredLength, headFault, stripInternal } from './inbound.ts';

/** A head as Node's parser hands it over: repeated names folded (first one wins, or joined by a comma). */
function head(pairs: [string, string][], httpVersion = '1.1'): IncomingMessage {
  const headers: Record<string, string> = {};
  for (const [name, value] of pairs) headers[name.toLowerCase()] ??= value;
  return { headers, rawHeaders: pairs.flat(), httpVersion } as unknown as IncomingMessage;
}

it.each([
  'Host',
  'Content-Length',
  'Content-Type',
  'Content-Encoding',
  'Authorization',
  'X-Api-Key',
  'x-goog-api-key',
  'api-key',
  'X-Signalbox-Key',
])('refuses a second %s', (name) => {
  const fault = headFault(
    head([
      [name, 'a'],
      ['Accept', '*/*'],
      [name.toUpperCase(), 'a'],
    ]),
  );
  expect(fault?.code).toBe('bad_header');
  expect(fault?.message).toContain(`'${name.toLowerCase()}' is repeated`);
});

it('lets other headers be repeated', () => {
  const pairs: [string, string][] = [
    ['Host', 'a'],
    ['Accept', 'a'],
    ['accept', 'b'],
    ['__proto__', 'x'],
  ];
  expect(headFault(head(pairs))).toBeUndefined();
});

it.each([
  ['gzip, chunked', '1.1', 'bad_header'],
  ['identity', '1.1', 'bad_header'],
  ['chunked', '1.0', 'bad_header'],
  ['Chunked', '1.1', undefined],
])('transfer-encoding %s in HTTP/%s', (coding, version, code) => {
  expect(headFault(head([['Transfer-Encoding', coding]], version))?.code).toBe(code);
});

it('refuses upgrades but for h2c, which Java offers with every request', () => {
  expect(headFault(head([['Upgrade', 'websocket']]))?.code).toBe('bad_header');
  expect(headFault(head([['Upgrade', 'h2c']]))).toBeUndefined();
});

it('refuses HTTP/0.9 and too many headers', () => {
  expect(headFault(head([], '0.9'))?.code).toBe('bad_target');
  const many = Array.from({ length: 128 }, (_, index): [string, string] => [`x-${index}`, '1']);
  expect(headFault(head(many))?.code).toBe('headers_too_large');
  expect(headFault(head(many.slice(1)))).toBeUndefined();
});

it('knows the announced length', () => {
  expect(declaredLength(head([]))).toBe(0);
  expect(declaredLength(head([['Content-Length', '12']]))).toBe(12);
  expect(declaredLength(head([['Transfer-Encoding', 'chunked']]))).toBeUndefined();
});

it('strips the internal address header, raw list included', () => {
  const raw = head([
    ['X-Signalbox-Client-Ip', '1.2.3.4'],
    ['Accept', '*/*'],
  ]);
  stripInternal(raw);
  expect(raw.headers).toEqual({ accept: '*/*' });
  expect(raw.rawHeaders).toEqual(['Accept', '*/*']);
});
