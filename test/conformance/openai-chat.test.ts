/** Chat Completions alone: relayed bytes, errors, and what OpenAI's own SDKs make of our answers. */
import { OpenAI as OpenAI6 } from 'openai-6';
import { OpenAI } from 'openai';
import { describe, expect, it } from 'vitest';

import type { StreamPart } from '../../src/core/parts.ts';
import { type Json, isObject, listOf, objectOf } from '../../src/core/read.ts';
import { openaiChat as dialect } from '../../src/dialects/openai-chat/dialect.ts';
import { createSseSplitter } from '../../src/lib/sse-split.ts';
import { assemble, decodeStream } from '../support/parts.ts';
import { plainChatStream } from '../support/plain-chat.ts';
import { describeRecorded, readRecordings } from '../support/recordings.ts';

const reply = { requestId: 'req_1', nowS: 1_700_000_000, includeUsage: true };
const silent = () => undefined;

const eventsOf = (bytes: Buffer): Buffer[] => createSseSplitter({ maxEventBytes: 8_000_000 }).push(bytes);

/** What a relay would send, and the tap that watched it. */
function relayed(stream: Buffer, stripUsage: boolean) {
  const tap = dialect.usage.tap({ stripUsage });
  const out = eventsOf(stream).flatMap((event) => {
    const seen = tap.see(event);
    return seen === false ? [] : [seen === true ? event : seen];
  });
  return { tap, out };
}

const jsonOf = (event: Buffer): unknown => JSON.parse(event.toString('utf8').replace(/^data: /, ''));

const dataEvents = (events: readonly Buffer[]) => events.filter((event) => event.toString('utf8').startsWith('data: {'));

function encoded(parts: readonly StreamPart[]): string {
  const encoder = dialect.stream.encoder(reply, silent);
  return parts.map((part) => encoder.encode(part)).join('');
}

describeRecorded('recorded Chat Completions', () => {
  const recorded = readRecordings().filter(({ endpoint }) => endpoint === 'openai.chat');
  const streams = recorded
    .filter(({ response }) => response.kind === 'sse')
    .map(({ id, response }) => ({ id, stream: Buffer.from(response.text!) }));
  const whole = streams.filter(({ stream }) => !stream.includes('event: error'));
  const answers = recorded.filter(({ response }) => response.kind === 'json' && response.status === 200 && !response.body!.error);
  const failures = recorded.filter(
    ({ response }) => response.kind === 'json' && (response.status !== 200 || response.body!.error),
  );

  describe('relayed streams', () => {
    it.each(streams)('$id: every byte passes, and the tap reads what a decoder reads', ({ stream }) => {
      const { tap, out } = relayed(stream, false);
      expect(Buffer.concat(out).equals(stream)).toBe(true);
      const decoded = assemble(decodeStream(dialect, [stream]));
      expect(tap).toMatchObject({ usage: decoded.usage, failure: decoded.failure, model: decoded.model, sawContent: true });
      expect(tap.state).toBe(decoded.failure === undefined ? 'done' : 'error');
    });

    it.each(whole)('$id: without the usage nobody asked for, all else stays', ({ stream }) => {
      const { tap, out } = relayed(stream, true);
      const kept = dataEvents(eventsOf(stream)).filter((event) => {
        const { usage, choices } = jsonOf(event) as { usage?: unknown; choices: unknown[] };
        return !(isObject(usage) && choices.length === 0);
      });
      const without = (chunk: unknown) => (objectOf(chunk).usage === null ? { ...objectOf(chunk), usage: undefined } : chunk);
      expect(dataEvents(out).map(jsonOf)).toEqual(kept.map((event) => without(jsonOf(event))));
      expect(Buffer.concat(out).includes('"usage":null')).toBe(false);
      // OpenAI's own chunks without the member are what they would have been: the bytes around it are untouched.
      const bytes = kept.map((event) => event.toString('utf8').replace(/,"usage":null(?=[,}])|"usage":null,/, ''));
      expect(dataEvents(out).map((event) => event.toString('utf8'))).toEqual(bytes);
      expect(tap.usage).toEqual(assemble(decodeStream(dialect, [stream])).usage);
      expect(tap.state).toBe('done');
    });
  });

  describe('cut streams', () => {
    it.each(whole)('$id: never end well before a finish', ({ stream }) => {
      const text = stream.toString('utf8');
      const finish = text.search(/"finish_reason": ?"/);
      const parts = decodeStream(dialect, [Buffer.from(text.slice(0, text.lastIndexOf('\n\n', finish) + 2))]);
      expect(assemble(parts).ended).toBe(false);
      expect(parts.some((part) => part.type === 'finish')).toBe(false);
    });

    it.each(whole)('$id: end well without the marker once every choice told why', ({ stream }) => {
      const parts = decodeStream(dialect, [Buffer.from(stream.toString('utf8').replace(/data: \[DONE\]\s*$/, ''))]);
      expect(parts).toEqual(decodeStream(dialect, [stream]));
    });
  });

  describe('failures', () => {
    it.each(failures)('$id', ({ response: { status, body } }) => {
      const failure = dialect.error.decode(status, body);
      // What is said within a 200 says what it would have been: a filter's refusal is the request's fault, all else the provider's.
      const meant = JSON.stringify(body).includes('content_filter') ? 400 : 500;
      expect(failure.status).toBe(status === 200 ? meant : status);
      expect(JSON.stringify(body)).toContain(JSON.stringify(failure.message).slice(1, -1));
      if (status === 200)
        expect(() => dialect.response.decode(body!)).toThrow(expect.objectContaining({ code: 'upstream_error' }));
    });

    it('in the middle of a stream', () => {
      const { stream } = streams.find(({ id }) => id === 'groq-quirk-midstream-error-01')!;
      const { failure, ended } = assemble(decodeStream(dialect, [stream]));
      expect(ended).toBe(false);
      expect(failure).toMatchObject({ status: 400, type: 'invalid_request_error', code: 'tool_use_failed' });
      const told = encoded(decodeStream(dialect, [stream]));
      expect(told).not.toContain('[DONE]');
      expect(JSON.parse(told.trimEnd().split('\n\n').at(-1)!.slice(6))).toMatchObject({
        error: { code: 'tool_use_failed', param: null },
      });
    });
  });

  describe("what OpenAI's schema requires", () => {
    it.each(answers)('$id: is in the answer', ({ response }) => {
      const body = dialect.response.encode(dialect.response.decode(response.body!), reply, silent);
      expect(body).toMatchObject({ id: expect.stringMatching(/./), object: 'chat.completion', created: expect.any(Number) });
      for (const choice of listOf(body.choices)) {
        const message = objectOf(choice.message);
        expect(message.role).toBe('assistant');
        expect(message).toHaveProperty('content');
        expect(message).toHaveProperty('refusal');
        expect(choice).toHaveProperty('logprobs');
        expect(['stop', 'length', 'tool_calls', 'content_filter']).toContain(choice.finish_reason);
        for (const call of listOf(message.tool_calls)) expectCall(call);
      }
    });

    it.each(whole)('$id: is in every chunk', ({ stream }) => {
      const told = encoded(decodeStream(dialect, [stream]));
      expect(told.endsWith('data: [DONE]\n\n')).toBe(true);
      const chunks = dataEvents(eventsOf(Buffer.from(told))).map(jsonOf) as Json[];
      const seen = new Set<unknown>();
      for (const chunk of chunks) {
        expect(chunk).toMatchObject({
          id: expect.any(String),
          object: 'chat.completion.chunk',
          created: expect.any(Number),
          model: expect.any(String),
        });
        for (const choice of listOf(chunk.choices)) {
          expect(choice).toHaveProperty('finish_reason');
          expect(objectOf(choice.delta).role).toBe(seen.has(choice.index) ? undefined : 'assistant');
          seen.add(choice.index);
        }
      }
      const usages = chunks.filter((chunk) => chunk.usage !== null);
      expect(usages).toEqual(assemble(decodeStream(dialect, [stream])).usage === undefined ? [] : [chunks.at(-1)]);
      if (usages[0] !== undefined) expect(usages[0].choices).toEqual([]);
    });
  });

  describe.each([
    { name: 'openai 7', Client: OpenAI },
    { name: 'openai 6', Client: OpenAI6 as unknown as typeof OpenAI },
  ])('$name', ({ Client }) => {
    const client = (body: string, type: string) =>
      new Client({ apiKey: 'none', fetch: () => Promise.resolve(new Response(body, { headers: { 'content-type': type } })) });
    const messages = [{ role: 'user' as const, content: 'hi' }];

    it.each(whole)('$id: puts our stream together', async ({ stream }) => {
      const sdk = client(encoded(decodeStream(dialect, [stream])), 'text/event-stream');
      const completion = await sdk.chat.completions.stream({ model: 'm', messages }).finalChatCompletion();
      const told = plainChatStream(stream.toString('utf8'));
      expect(completion.choices.map(({ index, message }) => [index, message.content ?? '', message.refusal ?? ''])).toEqual(
        told.choices.map(({ index, text, refusal }) => [index, text, refusal]),
      );
      expect(completion.choices.flatMap(({ message }) => (message.tool_calls ?? []).map(nameAndArguments))).toEqual(
        told.choices.flatMap(({ calls }) => calls.map((call) => [call.id, call.name, call.arguments || '{}'])),
      );
      expect(completion.usage?.prompt_tokens).toBe(told.usage?.inputTokens);
    });
  });
});

function nameAndArguments(call: OpenAI.Chat.Completions.ChatCompletionMessageToolCall): unknown {
  return call.type === 'function' ? [call.id, call.function.name, call.function.arguments] : call;
}

function expectCall(call: Json): void {
  expect(call).toEqual({
    id: expect.stringMatching(/./),
    type: 'function',
    function: { name: expect.any(String), arguments: expect.any(String) },
  });
  JSON.parse(String(objectOf(call.function).arguments));
}
