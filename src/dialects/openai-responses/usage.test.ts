import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeRecorded, readRecordings } from '../../../test/support/recordings.ts';
import { GatewayError } from '../../core/errors.ts';
import { parseSseEvent } from '../../lib/sse-parser.ts';
import { createSseSplitter } from '../../lib/sse-split.ts';
import { responsesErrors } from './error.ts';
import { responsesTap, summarizeResponse } from './usage.ts';

const NONE = {
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  inputAudioTokens: 0,
  outputAudioTokens: 0,
  cacheReadAudioTokens: 0,
  webSearches: 0,
};

const event = (data: object, name?: string) =>
  Buffer.from(`${name === undefined ? '' : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`);

function watch(events: readonly Buffer[]) {
  const tap = responsesTap();
  for (const raw of events) expect(tap.see(raw)).toBe(true);
  const { usage, finish, model, state, failure, sawContent } = tap;
  return { usage, finish, model, state, failure, sawContent };
}

describe('summarizeResponse', () => {
  it('reads usage, end and model', () => {
    const usage = {
      input_tokens: 100,
      input_tokens_details: { cached_tokens: 60, cache_write_tokens: 30 },
      output_tokens: 50,
      output_tokens_details: { reasoning_tokens: 20 },
      total_tokens: 150,
    };
    const output = [
      { type: 'web_search_call', action: { type: 'search' } },
      { type: 'web_search_call', action: { type: 'open_page' } },
      { type: 'message' },
    ];
    expect(summarizeResponse({ model: 'm', status: 'completed', usage, output })).toEqual({
      model: 'm',
      finish: 'completed',
      usage: {
        ...NONE,
        inputTokens: 100,
        outputTokens: 50,
        cacheReadTokens: 60,
        cacheWriteTokens: 30,
        reasoningTokens: 20,
        webSearches: 1,
      },
    });
    expect(summarizeResponse({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } })).toEqual({
      model: undefined,
      finish: 'max_output_tokens',
      usage: undefined,
    });
  });

  it('upholds the invariants whatever it is given', () => {
    const number = fc.oneof(fc.integer({ min: -5, max: 500 }), fc.constant(null), fc.constant('7'));
    const details = fc.record(
      { cached_tokens: number, cache_write_tokens: number, reasoning_tokens: number },
      { requiredKeys: [] },
    );
    const usage = fc.record(
      {
        input_tokens: number,
        output_tokens: number,
        total_tokens: number,
        input_tokens_details: details,
        output_tokens_details: details,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(usage, fc.jsonValue()), (value) => {
        const read = summarizeResponse({ usage: value }).usage;
        if (read === undefined) return;
        expect(read.cacheReadTokens + read.cacheWriteTokens).toBeLessThanOrEqual(read.inputTokens);
        expect(read.reasoningTokens).toBeLessThanOrEqual(read.outputTokens);
        expect(Object.values(read).every((tokens) => Number.isInteger(tokens) && tokens >= 0)).toBe(true);
      }),
    );
  });
});

describe('responsesTap', () => {
  const created = { type: 'response.created', response: { model: 'm', status: 'in_progress', usage: null } };
  const delta = { type: 'response.output_text.delta', delta: 'response.completed' };
  const completed = {
    type: 'response.completed',
    response: { model: 'm-1', status: 'completed', usage: { input_tokens: 1, output_tokens: 2 } },
  };

  it.each([true, false])('follows a stream whose events are named: %s', (named) => {
    const raw = [created, delta, completed].map((data) => event(data, named ? data.type : undefined));
    const usage = { ...NONE, inputTokens: 1, outputTokens: 2, cacheReadTokens: 0, reasoningTokens: 0 };
    expect(watch(raw.slice(0, 1))).toMatchObject({ model: 'm', state: 'open', sawContent: false, finish: undefined });
    expect(watch(raw.slice(0, 2))).toMatchObject({ state: 'open', sawContent: true });
    expect(watch(raw)).toEqual({ usage, finish: 'completed', model: 'm-1', state: 'done', failure: undefined, sawContent: true });
  });

  it('takes an incomplete response for a whole stream', () => {
    const data = {
      type: 'response.incomplete',
      response: { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } },
    };
    expect(watch([event(data, data.type)])).toMatchObject({ state: 'done', finish: 'max_output_tokens' });
  });

  it('tells a failed response, with the usage it still has', () => {
    const response = {
      status: 'failed',
      error: { code: 'rate_limit_exceeded', message: 'slow down' },
      usage: { input_tokens: 9, output_tokens: 0 },
    };
    expect(watch([event({ type: 'response.failed', response }, 'response.failed')])).toMatchObject({
      state: 'error',
      finish: 'failed',
      failure: { status: 429, code: 'rate_limit_exceeded', message: 'slow down' },
      usage: { inputTokens: 9 },
    });
  });

  it('tells an error event, flat or nested', () => {
    const flat = { type: 'error', code: 'server_error', message: 'oops', param: null, sequence_number: 3 };
    expect(watch([event(flat, 'error')])).toMatchObject({
      state: 'error',
      failure: { status: 500, code: 'server_error', message: 'oops' },
    });
    const nested = { type: 'error', error: { type: 'insufficient_quota', code: 'insufficient_quota', message: 'quota' } };
    expect(watch([event(nested)])).toMatchObject({
      state: 'error',
      failure: { status: 429, code: 'insufficient_quota', message: 'quota' },
    });
    expect(watch([event({ error: { message: 'bare' } })])).toMatchObject({ state: 'error', failure: { message: 'bare' } });
  });

  it('lets pass what it cannot read', () => {
    fc.assert(fc.property(fc.string(), (text) => responsesTap().see(Buffer.from(text)) === true));
    for (const text of [
      ': ping\n\n',
      'data: [DONE]\n\n',
      'event: response.completed\n\n',
      'event: response.completed\ndata: {"x\n\n',
      'data: 5\n\n',
    ]) {
      expect(watch([Buffer.from(text)])).toMatchObject({ state: 'open', usage: undefined, failure: undefined });
    }
  });

  it('reads our own error event', () => {
    const raw = Buffer.from(responsesErrors.event(new GatewayError('upstream_incomplete'), 'req_1'));
    expect(parseSseEvent(raw)?.event).toBe('error');
    expect(JSON.parse(parseSseEvent(raw)?.data ?? '')).toEqual({
      type: 'error',
      code: 'upstream_incomplete',
      message: 'The upstream ended its answer before it was complete',
      param: null,
      sequence_number: 0,
    });
    expect(watch([raw])).toMatchObject({ state: 'error', failure: { code: 'upstream_incomplete' } });
  });
});

describeRecorded('recorded responses', () => {
  const all = readRecordings().filter(({ endpoint }) => endpoint === 'openai.responses');

  it.each(all.filter(({ response }) => response.kind === 'sse').map(({ id, response }) => ({ id, text: response.text ?? '' })))(
    '$id',
    ({ text }) => {
      const events = createSseSplitter({ maxEventBytes: 1 << 20 }).push(Buffer.from(text));
      const last = /"usage":\{"input_tokens":(\d+),.*?"output_tokens":(\d+)/.exec(text.slice(text.lastIndexOf('"usage":{')));
      const seen = watch(events);
      expect(seen).toMatchObject({ state: 'done', finish: 'completed', sawContent: true, failure: undefined });
      expect(seen.usage).toMatchObject({ inputTokens: Number(last?.[1]), outputTokens: Number(last?.[2]) });
      expect(seen.model).toBe(/"model":"([^"]+)"/.exec(text)?.[1]);
      expect(watch(events.slice(0, -1)).state).toBe('open');
    },
  );

  it.each(all.filter(({ response }) => response.kind === 'json').map(({ id, response }) => ({ id, response })))(
    '$id',
    ({ response }) => {
      const body = response.body ?? {};
      if (response.status >= 400) {
        const failure = responsesErrors.decode(response.status, body);
        expect(failure.status).toBe(response.status);
        expect(JSON.stringify(body)).toContain(JSON.stringify(failure.message));
        return;
      }
      const usage = body.usage as { input_tokens: number; total_tokens: number };
      const summary = summarizeResponse(body);
      expect(summary).toMatchObject({ finish: 'completed', model: body.model, usage: { inputTokens: usage.input_tokens } });
      expect((summary.usage?.inputTokens ?? 0) + (summary.usage?.outputTokens ?? 0)).toBe(usage.total_tokens);
    },
  );

  it('a quota that ran out inside the stream', () => {
    const answers = readRecordings<{ id: string; response: { events: { type: string }[] } }>('answers');
    const answer = answers.find(({ id }) => id.includes('openai-error-1'));
    const seen = watch((answer?.response.events ?? []).map((data) => event(data, data.type)));
    expect(seen).toMatchObject({
      state: 'error',
      finish: 'failed',
      failure: { status: 429, type: 'insufficient_quota', code: 'insufficient_quota' },
    });
    expect(seen.failure?.message).toMatch(/^You exceeded your current quota/);
  });
});
