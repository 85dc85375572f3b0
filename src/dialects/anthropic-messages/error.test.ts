import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ERRORS, GatewayError, type ErrorCode } from '../../core/errors.ts';
import { decodeFailure, error, failureEvent } from './error.ts';

describe('our errors', () => {
  it.each<[ErrorCode, string]>([
    ['invalid_request', 'invalid_request_error'],
    ['invalid_key', 'authentication_error'],
    ['forbidden', 'permission_error'],
    ['model_not_found', 'not_found_error'],
    ['method_not_allowed', 'invalid_request_error'],
    ['body_too_large', 'request_too_large'],
    ['upstream_rate_limited', 'rate_limit_error'],
    ['internal', 'api_error'],
    ['upstream_error', 'api_error'],
    ['overloaded', 'overloaded_error'],
    ['upstream_timeout', 'timeout_error'],
  ])("%s is Anthropic's %s", (code, type) => {
    expect(error.encode(new GatewayError(code), 'req_1')).toEqual({
      type: 'error',
      error: { type, message: ERRORS[code].message },
      request_id: 'req_1',
    });
  });

  it('name the parameter, the model and the names that were perhaps meant, once', () => {
    const message = (details: object, code: ErrorCode = 'invalid_request') =>
      (error.encode(new GatewayError(code, { details }), 'r').error as { message: string }).message;
    expect(message({ param: 'max_tokens', message: 'max_tokens: this field is required' })).toBe(
      'max_tokens: this field is required',
    );
    expect(message({ param: 'tools[0]' })).toBe('tools[0]: The request is not valid');
    expect(message({ model: 'gpt-x', nearest: ['gpt-4o', 'gpt-4'] }, 'model_not_found')).toBe(
      `${ERRORS.model_not_found.message}: gpt-x. Did you mean gpt-4o, gpt-4?`,
    );
  });

  it('inside a stream are one error event', () => {
    expect(error.event(new GatewayError('upstream_incomplete'), 'req_1')).toBe(
      `event: error\ndata: ${JSON.stringify({ type: 'error', error: { type: 'api_error', message: ERRORS.upstream_incomplete.message }, request_id: 'req_1' })}\n\n`,
    );
  });
});

describe('errors of an upstream', () => {
  it('keep their type, and the code Anthropic hides in the details', () => {
    const body = {
      type: 'error',
      error: { type: 'invalid_request_error', message: 'Too big', details: { error_code: 'image_dimensions_too_large' } },
    };
    expect(decodeFailure(400, body)).toEqual({
      status: 400,
      type: 'invalid_request_error',
      code: 'image_dimensions_too_large',
      message: 'Too big',
    });
  });

  it('inside a stream get the status their type stands for', () => {
    const statusOf = (type: string) => decodeFailure(200, { type: 'error', error: { type, message: 'm' } }).status;
    expect(
      ['overloaded_error', 'rate_limit_error', 'api_error', 'invalid_request_error', 'timeout_error', 'constructor'].map(
        statusOf,
      ),
    ).toEqual([529, 429, 500, 400, 504, 500]);
  });

  it.each([
    ['<html><title>502 Bad Gateway</title></html>', '502 Bad Gateway'],
    [{ error: 'no' }, 'no'],
    [[{ error: { message: 'no' } }], 'no'],
    [{ message: 'no' }, 'no'],
  ])('of any shape are read: %j', (body, message) => {
    expect(decodeFailure(502, body)).toMatchObject({ status: 502, message });
  });

  it('never make decoding throw', () => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 599 }), fc.jsonValue(), (status, body) => {
        const failure = decodeFailure(status, body);
        expect(failure.status).toBeGreaterThanOrEqual(400);
        expect(failure.message).not.toBe('');
      }),
    );
  });

  it('go on to a client with a type it knows', () => {
    expect(failureEvent({ status: 529, type: 'overloaded_error', message: 'm' })).toContain('"type":"overloaded_error"');
    expect(failureEvent({ status: 429, type: 'tokens', message: 'm' })).toContain('"type":"rate_limit_error"');
  });
});
