/** Every recorded exchange of the Messages API, through the dialect in both directions. */
import { describe, expect, it } from 'vitest';

import type { AssistantPart, ChatResponse, Warning } from '../../src/core/chat.ts';
import { estimateInputTokens } from '../../src/dialects/anthropic-messages/count-tokens.ts';
import { anthropicMessages as dialect } from '../../src/dialects/anthropic-messages/dialect.ts';
import type { JsonObject } from '../../src/dialects/dialect.ts';
import { createSseSplitter } from '../../src/lib/sse-split.ts';
import { assemble, decodeStream, grammarErrors } from '../support/parts.ts';
import { type Block, type Message, blockOrderErrors, eventsOf, messageOf, plainUsage } from '../support/plain-messages.ts';
import { describeRecorded, readRecordings } from '../support/recordings.ts';

interface Body extends JsonObject {
  messages: { role: string; content: Block[] }[];
}

interface Call {
  id: string;
  request: JsonObject;
  /** A whole answer of the same request… */
  response?: JsonObject;
  /** …and a streamed one; where both are there they are two answers, since models do not repeat themselves. */
  stream?: string;
}

interface ParityCase {
  id: string;
  formats: Record<string, Record<string, Captured>>;
}

interface Captured {
  request: JsonObject;
  response?: JsonObject;
  response_stream?: JsonObject[];
}

/** The same API on Vertex and Bedrock, which name the model in the path and the version in the body. */
const EXCHANGES = /^(anthropic-messages|vertex-anthropic|bedrock-invoke-anthropic)/;
const PARITY_FORMATS = ['anthropic', 'vertex-anthropic', 'bedrock-anthropic'];

/** Every recorded call of the Messages API that was answered well, from exchanges and parity cases. */
function recordedCalls(): Call[] {
  const calls: Call[] = [];
  for (const { id, request, response, model } of readRecordings()) {
    if (!EXCHANGES.test(id) || response.status !== 200) continue;
    const answer = response.kind === 'sse' ? { stream: response.text! } : { response: response.body! };
    calls.push({ id, request: named(request.body!, model), ...answer });
  }
  for (const { id, formats } of readRecordings<ParityCase>('parity')) {
    for (const format of PARITY_FORMATS) {
      for (const [turn, captured] of Object.entries(formats[format] ?? {}))
        calls.push(parityCall(`${id} ${format} ${turn}`, captured));
    }
  }
  return calls;
}

function parityCall(id: string, { request, response, response_stream: events }: Captured): Call {
  return {
    id,
    request: named(request, 'claude-sonnet-4-5'),
    ...(response !== undefined && { response }),
    // Vertex's captures hold no events.
    ...(events?.[0]?.type === 'message_start' && { stream: events.map((event) => sse(event)).join('') }),
  };
}

function named(body: JsonObject, model: string): JsonObject {
  const request: JsonObject = { model, ...body };
  delete request.anthropic_version;
  return request;
}

const sse = (event: JsonObject): string => `event: ${String(event.type)}\ndata: ${JSON.stringify(event)}\n\n`;

/** What the dialect may change in a request without changing what is said; the list in content-decode.ts, tools.ts and thinking.ts. */
function normalised(request: JsonObject): JsonObject {
  const { output_format, messages, system, stream, output_config, ...rest } = structuredClone(request) as Body;
  const toBlocks = (content: unknown) => (typeof content === 'string' ? [{ type: 'text', text: content }] : content);
  const blockOf = (block: Block): JsonObject => {
    if (block.caller?.type === 'direct') delete block.caller;
    return block.type === 'tool_result' ? { ...block, content: toBlocks(block.content) } : block;
  };
  const config = output_format === undefined ? (output_config as JsonObject | undefined) : { format: output_format };
  const effortAlone = config?.effort !== undefined && rest.thinking === undefined;
  return {
    ...rest,
    ...(system !== undefined && { system: toBlocks(system) }),
    messages: messages.map(({ role, content }) => ({ role, content: (toBlocks(content) as Block[]).map(blockOf) })),
    ...(config !== undefined && { output_config: config }),
    ...(effortAlone && { thinking: { type: 'adaptive' } }),
    ...(stream === true && { stream }),
  };
}

/** Parts with the arguments of calls parsed: streamed JSON has white space, whole JSON has none. */
const comparable = (content: AssistantPart[]) =>
  content.map((part) => (part.type === 'tool_call' ? { ...part, arguments: JSON.parse(part.arguments) as unknown } : part));

/** An answer's blocks without what tells nothing: empty texts, empty citations, the caller that is the model itself. */
const comparableBlocks = (content: Block[]) =>
  structuredClone(content).filter((block) => {
    if (block.caller?.type === 'direct') delete block.caller;
    if (block.citations?.length === 0) delete block.citations;
    return block.type !== 'text' || block.text !== '';
  });

const context = { requestId: 'req_test', nowS: 1_700_000_000, includeUsage: true };

function encodeStream(parts: Parameters<ReturnType<typeof dialect.stream.encoder>['encode']>[0][]): string {
  const encoder = dialect.stream.encoder(context, () => undefined);
  return parts.map((part) => encoder.encode(part)).join('');
}

describeRecorded('recorded Messages API exchanges', () => {
  const calls = recordedCalls();
  const streams = calls.flatMap(({ id, stream }) => (stream === undefined ? [] : [{ id, stream }]));
  const answers = calls.flatMap(({ id, response }) => (response === undefined ? [] : [{ id, response }]));

  it('are there', () => {
    expect(calls.length).toBeGreaterThan(50);
    expect(streams.length).toBeGreaterThan(34);
    expect(answers.length).toBeGreaterThan(40);
  });

  describe('requests', () => {
    it.each(calls)('$id: decoded and encoded is what it was', ({ request }) => {
      const warnings: Warning[] = [];
      const decoded = dialect.request.decode(request, {});
      const encoded = dialect.request.encode(decoded, {
        upstreamModel: request.model as string,
        quirks: {},
        warn: (warning) => warnings.push(warning),
      });
      expect(warnings).toEqual([]);
      expect(encoded).toEqual(normalised(request));
    });
  });

  describe('whole answers', () => {
    it.each(answers)('$id: decoded and encoded is what it was', ({ response }) => {
      const decoded = dialect.response.decode(response);
      const encoded = dialect.response.encode(decoded, context, () => expect.unreachable()) as Message;
      const { usage, stop_details, content, ...rest } = response as Message;
      expect(encoded).toMatchObject(rest);
      expect(comparableBlocks(encoded.content)).toEqual(comparableBlocks(content));
      expect(stop_details ?? null).toBeNull();
      expect(decoded.usage).toMatchObject(plainUsage(usage));
      expect(dialect.usage.summarize(response)).toEqual({
        usage: decoded.usage,
        finish: response.stop_reason,
        model: response.model,
      });
    });
  });

  describe('streams', () => {
    it.each(streams)('$id: tells the same as the whole message', ({ stream }) => {
      const parts = decodeStream(dialect, [Buffer.from(stream)]);
      expect(grammarErrors(parts)).toEqual([]);
      const streamed = assemble(parts);
      expect(streamed.ended).toBe(true);
      const whole: ChatResponse = dialect.response.decode(messageOf(stream));
      expect(comparable(streamed.choices[0]!.content)).toEqual(comparable(whole.choices[0]!.content));
      expect(streamed.choices[0]).toMatchObject({ finish: whole.choices[0]!.finish });
      expect(streamed.choices[0]!.stopSequence).toBe(whole.choices[0]!.stopSequence);
      expect(streamed).toMatchObject({ id: whole.id, model: whole.model, usage: whole.usage });
      expect(streamed.usage).toMatchObject(plainUsage(messageOf(stream).usage));
    });

    it('two pieces at every byte, for the shortest streams', () => {
      const shortest = streams.toSorted((a, b) => a.stream.length - b.stream.length).slice(0, 6);
      for (const { stream } of shortest) {
        const bytes = Buffer.from(stream);
        const whole = decodeStream(dialect, [bytes]);
        for (let at = 1; at < bytes.length; at += 1) {
          expect(decodeStream(dialect, [bytes.subarray(0, at), bytes.subarray(at)])).toEqual(whole);
        }
      }
    });

    it.each(streams)('$id: encoded for a client it is one block after the other, and tells the same', ({ stream }) => {
      const encoded = encodeStream(decodeStream(dialect, [Buffer.from(stream)]));
      expect(blockOrderErrors(encoded)).toEqual([]);
      const before = messageOf(stream);
      const after = messageOf(encoded);
      expect(comparableBlocks(after.content)).toEqual(comparableBlocks(before.content));
      expect(after).toMatchObject({
        id: before.id,
        model: before.model,
        role: 'assistant',
        stop_reason: before.stop_reason,
        stop_sequence: before.stop_sequence,
      });
      expect(plainUsage(after.usage)).toMatchObject({ ...plainUsage(before.usage), cacheWrite1hTokens: 0 });
      expect(eventsOf(encoded).find((event) => event.type === 'message_delta')!.usage).toMatchObject({
        input_tokens: before.usage.input_tokens,
        output_tokens: before.usage.output_tokens,
      });
    });

    it.each(streams)('$id: cut off, it never ends well', ({ stream }) => {
      const bytes = Buffer.from(stream.slice(0, stream.indexOf('event: message_stop')));
      const parts = decodeStream(dialect, [bytes]);
      expect(grammarErrors(parts)).toEqual([]);
      expect(assemble(parts).ended).toBe(false);
    });

    it.each(streams)('$id: the tap sees what the stream says, and changes nothing', ({ stream }) => {
      const tap = dialect.usage.tap({ stripUsage: true });
      const splitter = createSseSplitter({ maxEventBytes: 8_000_000 });
      const states: string[] = [];
      for (const event of splitter.push(Buffer.from(stream))) {
        expect(tap.see(event)).toBe(true);
        states.push(tap.state);
      }
      const message = messageOf(stream);
      expect(states.indexOf('done')).toBe(states.length - 1);
      expect(tap).toMatchObject({ finish: message.stop_reason, model: message.model, sawContent: true, failure: undefined });
      expect(tap.usage).toMatchObject(plainUsage(message.usage));
    });
  });

  describe('signatures', () => {
    it('of thinking are byte-exact from a stream to the next request', () => {
      const signed = streams.filter(({ stream }) => stream.includes('signature_delta'));
      expect(signed.length).toBeGreaterThan(2);
      for (const { stream } of signed) {
        const [choice] = assemble(decodeStream(dialect, [Buffer.from(stream)])).choices;
        const body = dialect.request.encode(
          {
            model: 'm',
            messages: [{ role: 'assistant', content: choice!.content }],
            tools: [],
            stream: false,
            includeUsage: true,
            extra: {},
          },
          { upstreamModel: 'claude-sonnet-4-5', quirks: {}, warn: () => undefined },
        ) as Body;
        const sent = body.messages[0]!.content.filter((block) => block.type === 'thinking');
        const told = messageOf(stream).content.filter((block) => block.type === 'thinking');
        expect(sent).toEqual(told);
        expect(sent[0]!.signature.length).toBeGreaterThan(100);
      }
    });
  });

  describe('errors', () => {
    const errors = readRecordings().filter(({ id }) => id.startsWith('anthropic-messages-error'));

    it.each(errors)('$id', ({ response }) => {
      const { error } = response.body as { error: { type: string; message: string } };
      expect(dialect.error.decode(response.status, response.body)).toEqual({
        status: response.status,
        type: error.type,
        message: error.message,
      });
    });
  });

  describe('counting tokens', () => {
    const counted = readRecordings().find(({ id }) => id === 'anthropic-count-tokens-01')!;
    const estimate = (request: JsonObject) => estimateInputTokens(dialect.request.decode({ max_tokens: 1, ...request }, {}));

    it('the recorded count is 14, the estimate 21', () => {
      expect(counted.response.body).toEqual({ input_tokens: 14 });
      expect(estimate(counted.request.body!)).toBe(21);
    });

    it('says too much rather than too little, and not more than twice', () => {
      const ratios = calls
        .filter(
          ({ request }) =>
            !/"type":"(image|web_search_20250305|web_fetch_20250910|computer_20251124)"/.test(JSON.stringify(request)),
        )
        // A prompt of random characters, and one that was shortened after it was counted.
        .filter(({ id }) => id !== 'anthropic-messages-02' && id !== 'bedrock-invoke-anthropic-01')
        .map(({ id, request, response, stream }) => {
          const usage = dialect.usage.summarize(response ?? messageOf(stream!)).usage!;
          return { id, ratio: estimate(request) / usage.inputTokens };
        })
        .toSorted((a, b) => a.ratio - b.ratio);
      expect(ratios.length).toBe(52);
      expect(ratios[0]!.ratio).toBeGreaterThan(0.9);
      expect(ratios.at(-1)!.ratio).toBeLessThan(2.1);
      expect(ratios[26]!.ratio).toBeGreaterThan(1.2);
      expect(ratios[26]!.ratio).toBeLessThan(1.5);
    });
  });
});
