/** Streams that break go on: recorded ones, cut at every boundary between two events, in both dialects and across them. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';

import { type Reply, ask } from '../support/ask.ts';
import { chooseRecordings } from '../support/chosen-recordings.ts';
import { type ExchangeLog, exchangeLog } from '../support/exchange-log.ts';
import {
  type FaultRequest,
  type FaultUpstream,
  SSE_HEAD,
  type Step,
  chunk,
  startFaultUpstream,
} from '../support/fault-upstream.ts';
import { MIDDLE, streamSteps } from '../support/fronts.ts';
import { eventsOf } from '../support/plain-messages.ts';
import { type RecordedExchange, describeRecorded } from '../support/recordings.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

type Wire = 'chat' | 'messages';

const KEY = 'key-of-the-client-0001';
const WIRES: readonly Wire[] = ['chat', 'messages'];
/** Boundaries that a recording may have here: each cut has a model of its own, so that no breaker comes in between. */
const MOST_CUTS = 110;
const RECORDINGS_PER_WIRE = 3;

let first: FaultUpstream;
let next: FaultUpstream;
let box: Signalbox;
let log: ExchangeLog;

beforeAll(async () => {
  first = await startFaultUpstream(() => []);
  next = await startFaultUpstream(() => []);
  const provider = (wire: Wire, url: string) => ({
    type: wire === 'chat' ? 'openai-compatible' : 'anthropic-compatible',
    base_url: wire === 'chat' ? `${url}/v1` : url,
    api_key: 'none',
  });
  const price = { input_usd_per_mtok: 1, output_usd_per_mtok: 2 };
  const models = WIRES.flatMap((from) =>
    WIRES.flatMap((to) =>
      Array.from({ length: RECORDINGS_PER_WIRE * MOST_CUTS + 1 }, (_, n) => ({
        name: `${from}-${to}-${n}`,
        continue_on_failure: true,
        targets: [
          { provider: `first-${from}`, model: `${from}-${to}-${n}`, price },
          { provider: `next-${to}`, model: `${from}-${to}-${n}`, order: 2, can_continue: true, price },
        ],
      })),
    ),
  );
  const providers = Object.fromEntries(
    WIRES.flatMap((wire) => [
      [`first-${wire}`, provider(wire, first.url)],
      [`next-${wire}`, provider(wire, next.url)],
    ]),
  );
  const keys = [{ name: 'client', key: '${env:KEY}', models: ['*'] }];
  box = await startSignalbox({
    env: { KEY },
    config: JSON.stringify({ server: { workers: 1 }, providers, models, keys, telemetry: { log: { format: 'json' } } }),
  });
  log = exchangeLog(box);
});
afterAll(async () => {
  await box?.kill();
  for (const server of [first, next]) await server?.close();
});
beforeEach(() => {
  first.requests.length = 0;
  next.requests.length = 0;
});

function call(wire: Wire, model: string, more: object = {}): Promise<Reply> {
  const path = wire === 'chat' ? '/v1/chat/completions' : '/v1/messages';
  const messages = [{ role: 'user', content: 'Tell me.' }];
  return ask(`${box.url}${path}`, {
    headers: { authorization: `Bearer ${KEY}` },
    body: {
      model,
      stream: true,
      max_tokens: 5_000,
      messages,
      ...(wire === 'chat' && { stream_options: { include_usage: true } }),
      ...more,
    },
  });
}

/** The text that a client has read, straight from the wire. */
function textIn(wire: Wire, stream: string): string {
  if (wire === 'messages') {
    return eventsOf(stream)
      .map(({ delta }) => (delta as { text?: string } | undefined)?.text ?? '')
      .join('');
  }
  return stream
    .split(/\r?\n/)
    .filter((line) => line.startsWith('data: {'))
    .map((line) => JSON.parse(line.slice(6)) as { choices?: { delta?: { content?: string | null } }[] })
    .map(({ choices }) => choices?.[0]?.delta?.content ?? '')
    .join('');
}

/** What a model goes on with that was shown the beginning of `whole`. */
function rest(wire: Wire, whole: string, shown: string[]): (request: FaultRequest) => Step[] {
  return ({ body }) => {
    const { messages } = JSON.parse(body.toString('utf8')) as {
      messages: { role: string; content: string | { text: string }[] }[];
    };
    const last = messages.at(-1)!;
    const content = typeof last.content === 'string' ? last.content : last.content.map(({ text }) => text).join('');
    const begun = last.role === 'assistant' ? content : '';
    shown.push(begun);
    const remaining = whole.slice(begun.length);
    const half = Math.ceil(remaining.length / 2);
    return streamSteps(wire, [remaining.slice(0, half), remaining.slice(half)]);
  };
}

const TERMINAL: Readonly<Record<Wire, RegExp>> = { chat: /data: \[DONE\]/g, messages: /event: message_stop/g };
const isPlain: Readonly<Record<Wire, (text: string) => boolean>> = {
  chat: (text) => !/tool|reasoning|thinking|refusal": ?"|citation|annotations": ?\[\{|logprobs": ?\{/.test(text),
  messages: (text) => {
    const blocks = eventsOf(text).flatMap(({ content_block: block }) =>
      block === undefined ? [] : [(block as { type: string }).type],
    );
    return blocks.length === 1 && blocks[0] === 'text' && !text.includes('citations_delta');
  },
};

function plainStreams(wire: Wire): { recording: RecordedExchange; events: string[] }[] {
  const { streams } = chooseRecordings()[wire];
  return streams
    .map((recording) => ({ recording, events: recording.response.text!.replaceAll('\r\n', '\n').split(/(?<=\n\n)/) }))
    .filter(({ recording, events }) => events.length <= MOST_CUTS && isPlain[wire](recording.response.text!))
    .filter(({ recording }) => textIn(wire, recording.response.text!).trim() !== '')
    .slice(0, RECORDINGS_PER_WIRE);
}

describeRecorded('a recorded stream of plain text, cut at every boundary', () => {
  it.each(WIRES.flatMap((from) => WIRES.map((to) => [from, to] as const)))('%s, and goes on in %s', async (from, to) => {
    const streams = plainStreams(from);
    expect(streams).toHaveLength(RECORDINGS_PER_WIRE);
    let model = 0;
    let continued = 0;
    for (const { recording, events } of streams) {
      const whole = textIn(from, recording.response.text!);
      for (let cut = 0; cut < events.length - 1; cut++) {
        const sent = events.slice(0, cut).join('');
        // Behind its end, nothing is missing but the mark of it.
        if (/"finish_reason": ?"|event: content_block_stop/.test(sent)) break;
        const shown: string[] = [];
        first.play(() => [{ send: SSE_HEAD }, ...(sent === '' ? [] : [{ send: chunk(sent) }]), 'fin']);
        next.play(rest(to, whole, shown));
        const reply = await call(from, `${from}-${to}-${model++}`);
        const what = `${recording.id}, cut at ${cut}`;
        expect(reply.status, what).toBe(200);
        expect(textIn(from, reply.text), what).toBe(whole);
        expect(reply.text.match(TERMINAL[from]), what).toHaveLength(1);
        expect(reply.text, what).not.toContain('"error"');
        if (from === 'messages') expect(reply.text.match(/event: message_start/g), what).toHaveLength(1);
        const begun = textIn(from, sent);
        expect(shown, what).toEqual([begun.trim() === '' ? '' : begun.trimEnd()]);
        if (begun.trim() === '') continue;
        continued += 1;
        expect(reply.text, what).toContain(`: continued by next-${to}/`);
      }
    }
    expect(continued).toBeGreaterThan(5);
  });
});

it('usage and cost are those of all its authors, and the record says so', async () => {
  const model = `chat-chat-${RECORDINGS_PER_WIRE * MOST_CUTS}`;
  first.play(() => [...streamSteps('chat', ['Once ', 'upon ']).slice(0, -2), 'fin']);
  next.play(rest('chat', 'Once upon a time.', []));
  const reply = await call('chat', model);
  expect(textIn('chat', reply.text)).toBe('Once upon a time.');
  const usage = JSON.parse(
    /\{.*"usage":\{.*\}/.exec(reply.text.split('\n').findLast((line) => line.includes('"usage":{')) ?? '')![0],
  ) as { usage: { prompt_tokens: number } };
  // The second one alone told 11; the first one is estimated.
  expect(usage.usage.prompt_tokens).toBeGreaterThan(11);
  expect(await log.of(reply.headers['x-request-id']!)).toMatchObject({
    outcome: 'ok',
    attempts: 2,
    input_tokens: usage.usage.prompt_tokens,
  });
});

it.each<[string, object, string]>([
  [
    'a tool call is open',
    {},
    MIDDLE.chat('text') +
      MIDDLE.chat('').replace('"content":""', '"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{"}}]'),
  ],
  ['it thinks', {}, MIDDLE.chat('').replace('"content":""', '"reasoning_content":"hm"') + MIDDLE.chat('text')],
  ['a form was asked for', { response_format: { type: 'json_object' } }, MIDDLE.chat('{"a":')],
])('none goes on where %s: the client is told', async (_, more, middle) => {
  first.play(() => [...streamSteps('chat', []).slice(0, 2), { send: chunk(middle) }, 'fin']);
  next.play(() => streamSteps('chat'));
  const reply = await call('chat', `chat-chat-${RECORDINGS_PER_WIRE * MOST_CUTS - 1 - Math.floor(Math.random() * 20)}`, more);
  expect(reply.text).toContain('"error"');
  expect(reply.text).not.toContain('[DONE]');
  expect(next.requests).toHaveLength(0);
});

it('where nobody can go on, the client is told', async () => {
  first.play(() => [...streamSteps('chat', ['Once ', 'upon ']).slice(0, -2), 'fin']);
  next.play(() => ['reset']);
  const reply = await call('chat', `chat-chat-${RECORDINGS_PER_WIRE * MOST_CUTS - 25}`);
  expect(textIn('chat', reply.text)).toBe('Once upon ');
  expect(reply.text).toContain('"error"');
  expect(reply.text).not.toContain('[DONE]');
});
