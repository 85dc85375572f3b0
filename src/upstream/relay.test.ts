import { array, assert, nat, property } from 'fast-check';
import { describe, expect, test } from 'vitest';

import { GatewayError } from '../core/errors.ts';
import type { StreamTap } from '../core/tap.ts';
import { createRelayStage } from './relay.ts';
import type { StreamStage } from './types.ts';

/** Ends at `[DONE]`, fails at an `error` event, drops `drop`, changes `old`. */
function tapOf(): StreamTap & { seen: string[] } {
  const tap = {
    seen: [] as string[],
    state: 'open' as StreamTap['state'],
    usage: undefined,
    finish: undefined,
    model: undefined,
    failure: undefined,
    sawContent: false,
    see(event: Buffer): boolean | Buffer {
      const text = event.toString();
      tap.seen.push(text);
      if (text.startsWith('data: [DONE]')) tap.state = 'done';
      if (text.startsWith('event: error')) tap.state = 'error';
      if (text.includes('drop')) return false;
      return text.includes('old') ? Buffer.from(text.replace('old', 'newer')) : true;
    },
    isDull: (events: Buffer) => events.includes('dull') && !/old|drop|DONE|error/.test(events.toString()),
  };
  return tap;
}

const failEvent = (error: GatewayError): string => `data: {"error":"${error.code}"}\n\n`;

function stageOf(maxEventBytes = 1024): { stage: StreamStage; tap: ReturnType<typeof tapOf> } {
  const tap = tapOf();
  return { tap, stage: createRelayStage({ tap, failEvent }, maxEventBytes) };
}

function run(stage: StreamStage, chunks: Buffer[]): { out: string; writes: string[] } {
  const writes: string[] = [];
  for (const chunk of chunks) {
    const out = stage.push(chunk);
    if (out !== undefined) writes.push(out.toString());
    if (stage.state !== 'open') return { out: writes.join(''), writes };
  }
  const last = stage.end();
  if (last !== undefined) writes.push(last.toString());
  return { out: writes.join(''), writes };
}

function slices(text: string, cuts: number[]): Buffer[] {
  const bytes = Buffer.from(text);
  const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
}

const STREAM = 'data: {"a":"é…"}\n\n: note\n\ndata: {"old":1}\r\n\r\nevent: x\ndata: {"drop":1}\n\ndata: [DONE]\n\n';

/** Nothing in it that the tap changes or drops. */
const UNCHANGED = STREAM.replace('old', 'new').replace('drop', 'keep');

describe('the relay stage', () => {
  test('passes the same bytes however they are sliced', () => {
    assert(
      property(array(nat(200), { maxLength: 12 }), (cuts) => {
        const { stage } = stageOf();
        expect(run(stage, slices(UNCHANGED, cuts)).out).toBe(UNCHANGED);
        expect(stage.state).toBe('done');
      }),
    );
  });

  test('rewrites the same events however they are sliced', () => {
    const expected = 'data: {"a":"é…"}\n\n: note\n\ndata: {"newer":1}\r\n\r\ndata: [DONE]\n\n';
    assert(
      property(array(nat(200), { maxLength: 12 }), (cuts) => {
        const { stage } = stageOf();
        expect(run(stage, slices(STREAM, cuts)).out).toBe(expected);
      }),
    );
  });

  test('whole events pass without being copied', () => {
    const { stage } = stageOf();
    const chunk = Buffer.from('data: 1\n\ndata: 2\n\n');
    expect((stage.push(chunk) as Buffer).buffer).toBe(chunk.buffer);
  });

  test('half an event never leaves: it waits for its rest, and a cut drops it', () => {
    const { stage } = stageOf();
    expect(stage.push(Buffer.from('data: 1\n\ndata: {"hal'))?.toString()).toBe('data: 1\n\n');
    expect(stage.push(Buffer.from('f":'))).toBeUndefined();
    expect(stage.end()).toBeUndefined();
    expect(stage.state).toBe('open');
    expect(stage.fail(new GatewayError('upstream_incomplete'))).toBe('data: {"error":"upstream_incomplete"}\n\n');
  });

  test('a terminal event without its blank line counts, and passes as it came', () => {
    const { stage } = stageOf();
    expect(run(stage, [Buffer.from('data: 1\n\ndata: [DONE]\n')]).out).toBe('data: 1\n\ndata: [DONE]\n');
    expect(stage.state).toBe('done');
  });

  test('what follows the terminal event in the same read still passes', () => {
    const { stage } = stageOf();
    expect(stage.push(Buffer.from('data: [DONE]\n\n: bye'))?.toString()).toBe('data: [DONE]\n\n: bye');
  });

  test("the provider's own error event ends the stream as such", () => {
    const { stage } = stageOf();
    expect(run(stage, [Buffer.from('data: 1\n\nevent: error\ndata: {}\n\n')]).out).toBe('data: 1\n\nevent: error\ndata: {}\n\n');
    expect(stage.state).toBe('error');
  });

  test('an event beyond the limit is refused, before any of it has left', () => {
    const { stage } = stageOf(100);
    expect(stage.push(Buffer.from(`data: ${'x'.repeat(90)}`))).toBeUndefined();
    expect(() => stage.push(Buffer.from('y'.repeat(90)))).toThrow(GatewayError);
  });
});

test('passes dull chunks whole, without showing their events to the tap, wherever it stands at a boundary', () => {
  const { stage, tap } = stageOf();
  const chunks = [
    'data: dull 1\n\ndata: dull 2\n\n',
    'data: dull 3\n\ndata: du',
    'll 4\n\n',
    'data: dull 5\n\n',
    'data: old dull\n\n',
    'data: [DONE]\n\n',
  ];
  expect(
    run(
      stage,
      chunks.map((chunk) => Buffer.from(chunk)),
    ).out,
  ).toBe(chunks.join('').replace('old', 'newer'));
  expect(tap.seen).toEqual(['data: dull 3\n\n', 'data: dull 4\n\n', 'data: old dull\n\n', 'data: [DONE]\n\n']);
});
