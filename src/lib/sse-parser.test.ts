import { strict as assert } from 'node:assert';
import { createParser } from 'eventsource-parser';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeRecorded, readRecordings } from '../../test/support/recordings.ts';
import { createSseParser, parseSseEvent, SseEventTooLargeError, type SseEvent } from './sse-parser.ts';

function parse(chunks: readonly Buffer[], maxEventBytes = 1 << 20) {
  const events: SseEvent[] = [];
  const parser = createSseParser({ maxEventBytes, onEvent: (event) => events.push(event) });
  for (const chunk of chunks) parser.push(chunk);
  return { events, leftOver: parser.end() };
}

const whole = (text: string) => parse([Buffer.from(text)]);
const single = (bytes: Buffer) => Array.from(bytes, (byte) => Buffer.of(byte));
const message = (data: string, event = 'message') => ({ event, data });

/** The standard's algorithm, line by line over the whole text: slow, plain, and nothing like the parser under test. */
function byTheBook(bytes: Buffer): SseEvent[] {
  const events: SseEvent[] = [];
  const text = new TextDecoder().decode(bytes);
  const lines = text.split(/\r\n|\n|\r/);
  // What follows the last terminator is no line yet.
  lines.pop();
  let data = '';
  let type = '';
  for (const line of lines) {
    if (line === '') {
      if (data !== '') events.push({ event: type === '' ? 'message' : type, data: data.slice(0, -1) });
      data = '';
      type = '';
      continue;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data += `${value}\n`;
    if (field === 'event') type = value;
  }
  return events;
}

describe('createSseParser', () => {
  it.each([
    ['data: x\n\n', [message('x')]],
    ['data:x\n\n', [message('x')]],
    ['data:  x \n\n', [message(' x ')]],
    ['data: a\ndata: b\n\n', [message('a\nb')]],
    ['data\n\n', [message('')]],
    ['data\ndata\n\n', [message('\n')]],
    ['data:\n\n', [message('')]],
    ['event: ping\ndata: {}\n\n', [message('{}', 'ping')]],
    ['data: {}\nevent: ping\n\n', [message('{}', 'ping')]],
    ['event: a\nevent:\ndata: x\n\n', [message('x')]],
    ['event: lost\n\ndata: x\n\n', [message('x')]],
    [': comment\n\n:\n\ndata: x\n: y\n\n', [message('x')]],
    ['id: 7\nretry: 10\nunknown: z\ndata: x\n\n', [message('x')]],
    ['Data: x\n data: y\ndatax: z\n\n', []],
    ['data: a\r\n\r\ndata: b\r\n\r\n', [message('a'), message('b')]],
    ['data: a\rdata: b\r\rdata: c\r\r', [message('a\nb'), message('c')]],
    ['data: a\r\ndata: b\n\ndata: c\r\r', [message('a\nb'), message('c')]],
    ['\ufeffdata: x\n\n\ufeffdata: y\n\n', [message('x')]],
    ['\n\n\ndata: x\n\n\n', [message('x')]],
    ['data: a:b: c\n\n', [message('a:b: c')]],
  ])('%j', (text, events) => {
    expect(whole(text)).toEqual({ events, leftOver: 0 });
    expect(parse(single(Buffer.from(text)))).toEqual({ events, leftOver: 0 });
    expect(byTheBook(Buffer.from(text))).toEqual(events);
  });

  it('never makes an event of an unfinished one, and tells what was left', () => {
    expect(whole('data: a\n\ndata: b')).toEqual({ events: [message('a')], leftOver: 7 });
    expect(whole('data: b\n')).toEqual({ events: [], leftOver: 8 });
    expect(whole('data: b\r\n\r')).toEqual({ events: [message('b')], leftOver: 0 });
    expect(whole('')).toEqual({ events: [], leftOver: 0 });
  });

  it('puts split characters together', () => {
    const bytes = Buffer.from('data: 中é😀\n\n');
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(parse([bytes.subarray(0, cut), bytes.subarray(cut)]).events).toEqual([message('中é😀')]);
    }
  });

  it('refuses an event that is too large, after handing out those before it', () => {
    const events: SseEvent[] = [];
    const parser = createSseParser({ maxEventBytes: 20, onEvent: (event) => events.push(event) });
    expect(() => parser.push(Buffer.from(`data: a\n\ndata: ${'x'.repeat(30)}`))).toThrow(SseEventTooLargeError);
    expect(events).toEqual([message('a')]);
    const drip = createSseParser({ maxEventBytes: 20, onEvent: () => undefined });
    expect(() => single(Buffer.from('x'.repeat(21))).forEach((byte) => drip.push(byte))).toThrow(SseEventTooLargeError);
  });

  it('takes linear time on hostile events', () => {
    for (const line of ['data\n', 'data: \r', 'x\n', ':\r\n']) {
      const startedAt = performance.now();
      parseSseEvent(Buffer.from(`${line.repeat(200_000)}\r\n`));
      expect(performance.now() - startedAt).toBeLessThan(3_000);
    }
  });

  it('does as the standard says with any text, in any slices', () => {
    const text = fc
      .array(
        fc.constantFrom(
          'data',
          'event',
          'id',
          ':',
          ': ',
          ' ',
          'x',
          'é😀',
          '\ufeff',
          '\0',
          '\n',
          '\n\n',
          '\r\n',
          '\r\n\r\n',
          '\r',
          '\r\r',
        ),
        { maxLength: 40 },
      )
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, fc.nat(), fc.nat(), (body, one, two) => {
        const bytes = Buffer.from(body);
        const [from = 0, to = 0] = [one % (bytes.length + 1), two % (bytes.length + 1)].sort((a, b) => a - b);
        const expected = byTheBook(bytes);
        assert.deepEqual(parse([bytes]).events, expected);
        assert.deepEqual(parse([bytes.subarray(0, from), bytes.subarray(from, to), bytes.subarray(to)]).events, expected);
        assert.deepEqual(parse(single(bytes)).events, expected);
      }),
      { numRuns: 1_500 },
    );
  });

  it('survives garbage', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => parse([Buffer.from(noise)]).leftOver >= 0));
  });
});

describeRecorded('recorded streams', () => {
  const streams = readRecordings().flatMap(({ id, response }) =>
    response.kind === 'sse' && response.text !== undefined ? [{ id, text: response.text }] : [],
  );

  it.each(streams)('$id: as the standard says, and in slices the same', ({ text }) => {
    const bytes = Buffer.from(text);
    const { events, leftOver } = parse([bytes]);
    assert.ok(events.length > 0);
    assert.deepEqual(events, byTheBook(bytes));
    assert.deepEqual(parse(single(bytes)), { events, leftOver });
    for (const { data } of events) if (data !== '[DONE]') JSON.parse(data);
  });

  it('are read as another parser reads them', () => {
    for (const { id, text } of streams) {
      const theirs: SseEvent[] = [];
      const parser = createParser({ onEvent: ({ event = 'message', data }) => theirs.push({ event, data }) });
      parser.feed(text);
      assert.deepEqual(whole(text).events, theirs, id);
    }
  });
});
