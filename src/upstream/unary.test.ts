import { describe, expect, test } from 'vitest';

import { GatewayError } from '../core/errors.ts';
import type { BodySink, UpstreamBody } from './types.ts';
import { collect } from './unary.ts';

/** A body that brings the chunks at once, then the end. */
function bodyOf(chunks: Buffer[], last: 'end' | GatewayError = 'end'): UpstreamBody & { paused: boolean } {
  let sink: BodySink | undefined;
  const body = {
    paused: false,
    consume(next: BodySink) {
      sink = next;
      body.paused = false;
      body.resume();
    },
    resume() {
      while (chunks.length > 0) {
        if (!sink!.data(chunks.shift()!)) {
          body.paused = true;
          return;
        }
      }
      if (last === 'end') sink!.end();
      else sink!.fail(last);
    },
    abort() {},
  };
  return body;
}

const bytes = (text: string): Buffer => Buffer.from(text);

describe('collect', () => {
  test('a single chunk is handed on without a copy', async () => {
    const chunk = bytes('{"a":1}');
    for (const contentLength of ['7', undefined]) {
      const collected = await collect(bodyOf([chunk]), { maxBytes: 100, contentLength });
      expect('whole' in collected && collected.whole === chunk).toBe(true);
    }
  });

  test.each(['9', undefined, '100', '4', 'junk'])('several chunks are joined, declared length %s', async (contentLength) => {
    const collected = await collect(bodyOf([bytes('abc'), bytes('def'), bytes('ghi')]), { maxBytes: 100, contentLength });
    expect('whole' in collected && collected.whole.toString()).toBe('abcdefghi');
  });

  test.each(['9', undefined])(
    'what is larger than may be held is handed on as its beginning, declared length %s',
    async (contentLength) => {
      const body = bodyOf([bytes('abc'), bytes('def'), bytes('ghi')]);
      const collected = await collect(body, { maxBytes: 5, contentLength });
      expect('head' in collected && collected.head.toString()).toBe('abcdef');
      expect(body.paused).toBe(true);
    },
  );

  test('an empty body is whole', async () => {
    expect(await collect(bodyOf([]), { maxBytes: 5, contentLength: '0' })).toEqual({ whole: Buffer.alloc(0) });
  });

  test('a failure says why', async () => {
    const error = new GatewayError('upstream_incomplete');
    expect(await collect(bodyOf([bytes('a')], error), { maxBytes: 5, contentLength: undefined })).toEqual({ error });
  });

  test('what is held beyond 256 KiB is reserved in steps, and refused where nothing is left', async () => {
    const chunks = (): Buffer[] => Array.from({ length: 10 }, () => Buffer.alloc(100 * 1024));
    const limits = { maxBytes: 2 ** 20, contentLength: undefined };
    const taken: number[] = [];
    const held = await collect(bodyOf(chunks()), { ...limits, reserve: (size) => taken.push(size) > 0 });
    expect('whole' in held && held.whole.length).toBe(1000 * 1024);
    expect(taken).toEqual([2 ** 18, 2 ** 18, 2 ** 18]);
    const refused = await collect(bodyOf(chunks()), { ...limits, reserve: () => false });
    expect(refused).toMatchObject({ error: { code: 'overloaded' } });
  });
});
