import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERRORS, GatewayError, type ErrorCode } from './errors.ts';
import { decodeOpenAiFailure, openAiErrorBody, openAiFailure } from './openai-error.ts';

describe('openAiErrorBody', () => {
  it('has all four fields for every code', () => {
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      const { error } = openAiErrorBody(new GatewayError(code));
      expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code']);
      expect(error.type).toBe(
        ERRORS[code].status === 429 ? 'rate_limit_error' : ERRORS[code].status >= 500 ? 'server_error' : 'invalid_request_error',
      );
    }
  });

  it('uses the words that clients act upon', () => {
    expect(openAiErrorBody(new GatewayError('invalid_key')).error.code).toBe('invalid_api_key');
    expect(openAiErrorBody(new GatewayError('upstream_rate_limited')).error.code).toBe('rate_limit_exceeded');
    expect(openAiErrorBody(new GatewayError('invalid_request', { details: { message: 'no', param: 'messages[0]' } }))).toEqual({
      error: { message: 'no', type: 'invalid_request_error', param: 'messages[0]', code: 'invalid_request' },
    });
  });

  it('names the model and the nearest names', () => {
    const error = new GatewayError('model_not_found', { details: { model: 'gpt4', nearest: ['gpt-4o', 'gpt-4'] } });
    expect(openAiErrorBody(error).error).toEqual({
      message: 'The model `gpt4` does not exist or you do not have access to it. Did you mean `gpt-4o`, `gpt-4`?',
      type: 'invalid_request_error',
      param: 'model',
      code: 'model_not_found',
    });
  });
});

describe('decodeOpenAiFailure', () => {
  it.each([
    [
      'OpenAI',
      404,
      { error: { message: 'm', type: 'invalid_request_error', param: 'model', code: 'model_not_found' } },
      { status: 404, message: 'm', type: 'invalid_request_error', param: 'model', code: 'model_not_found' },
    ],
    ['nulls', 400, { error: { message: 'm', type: null, param: null, code: null } }, { status: 400, message: 'm' }],
    ['bare string', 404, { error: 'gone' }, { status: 404, message: 'gone' }],
    ['xAI', 400, { code: 'invalid-argument', error: 'bad' }, { status: 400, message: 'bad', code: 'invalid-argument' }],
    ['FastAPI', 401, { detail: 'Invalid' }, { status: 401, message: 'Invalid' }],
    ['FastAPI list', 422, { detail: [{ loc: ['body'], msg: 'a' }, { msg: 'b' }] }, { status: 422, message: 'a; b' }],
    ['Bedrock, Cohere', 403, { id: 'x', message: 'token' }, { status: 403, message: 'token' }],
    [
      'Gemini array',
      429,
      [{ error: { code: 429, message: 'quota', status: 'RESOURCE_EXHAUSTED' } }],
      { status: 429, message: 'quota', type: 'RESOURCE_EXHAUSTED', code: '429' },
    ],
    ['JSON text', 500, '{"error":{"message":"m"}}', { status: 500, message: 'm' }],
    ['bytes', 500, Buffer.from('{"message":"m"}'), { status: 500, message: 'm' }],
    ['plain text', 503, ' upstream connect error \n', { status: 503, message: 'upstream connect error' }],
    ['HTML', 502, '<html><head><title>502 Bad Gateway</title></head></html>', { status: 502, message: '502 Bad Gateway' }],
    ['nothing', 502, undefined, { status: 502, message: 'The upstream answered 502 and did not say why' }],
    ['empty error', 500, { error: {} }, { status: 500, message: 'The upstream answered 500 and did not say why' }],
    ['in a 200 stream', 200, { error: { code: 502, message: 'm' } }, { status: 502, message: 'm', code: '502' }],
    [
      'in a 200 stream, by words',
      200,
      { error: { type: 'overloaded_error', message: 'm' } },
      { status: 503, message: 'm', type: 'overloaded_error' },
    ],
    [
      'Azure’s filter, in a 200',
      200,
      { error: { type: null, code: 'content_filter', message: 'm' } },
      { status: 400, message: 'm', code: 'content_filter' },
    ],
  ])('%s', (_name, status, body, expected) => {
    expect(decodeOpenAiFailure(status, body)).toEqual(expected);
  });

  it('reads what it writes', () => {
    const failure = decodeOpenAiFailure(429, openAiErrorBody(new GatewayError('upstream_rate_limited')));
    expect(failure).toMatchObject({ status: 429, code: 'rate_limit_exceeded', type: 'rate_limit_error' });
    expect(openAiFailure(failure)).toMatchObject({ code: 'rate_limit_exceeded', type: 'rate_limit_error', param: null });
  });

  it('never throws and never answers an endless or empty message', () => {
    fc.assert(
      fc.property(fc.anything(), fc.integer({ min: 200, max: 599 }), (body, status) => {
        const failure = decodeOpenAiFailure(status, body);
        expect(failure.status).toBeGreaterThanOrEqual(400);
        expect(failure.message.length).toBeGreaterThan(0);
        expect(failure.message.length).toBeLessThanOrEqual(2_000);
      }),
    );
    expect(decodeOpenAiFailure(500, '['.repeat(100_000)).status).toBe(500);
    for (const [open, close] of [
      ['[', ']'],
      ['{"detail":', '}'],
      ['{"detail":[', ']}'],
    ] as const) {
      expect(decodeOpenAiFailure(500, `${open.repeat(500_000)}1${close.repeat(500_000)}`).status).toBe(500);
    }
  });
});
