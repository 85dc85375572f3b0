import { describe, expect, it } from 'vitest';
import { describeRecorded, readRecordings } from '../../../test/support/recordings.ts';
import { NO_USAGE } from '../../core/usage.ts';
import { summarizeEmbeddings } from './usage.ts';

describe('summarizeEmbeddings', () => {
  it('counts what was embedded as input', () => {
    expect(summarizeEmbeddings({ model: 'e', usage: { prompt_tokens: 7, total_tokens: 7 } })).toEqual({
      model: 'e',
      finish: undefined,
      usage: { ...NO_USAGE, inputTokens: 7 },
    });
    expect(summarizeEmbeddings({ usage: { total_tokens: 5 } }).usage?.inputTokens).toBe(5);
  });

  it.each([{}, { usage: null }, { usage: {} }, { usage: 'x', model: 3 }, { usage: { prompt_tokens: '7' } }])(
    'knows no usage in %j',
    (body) => {
      expect(summarizeEmbeddings(body)).toEqual({ usage: undefined, finish: undefined, model: undefined });
    },
  );
});

describeRecorded('recorded embeddings', () => {
  const answers = readRecordings().filter(
    ({ endpoint, response }) => endpoint === 'openai.embeddings' && response.status === 200,
  );

  it.each(answers.map(({ id, response }) => ({ id, body: response.body ?? {} })))('$id', ({ body }) => {
    const { prompt_tokens: tokens } = body.usage as { prompt_tokens: number };
    expect(summarizeEmbeddings(body)).toMatchObject({ model: body.model, usage: { inputTokens: tokens, outputTokens: 0 } });
  });
});
