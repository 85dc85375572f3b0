import { describe, expect, it } from 'vitest';

import type { ChatMessage, ChatRequest, UserPart } from '../../core/chat.ts';
import { estimateInputTokens } from './count-tokens.ts';

const of = (parts: UserPart[], fields: Partial<ChatRequest> = {}): number => {
  const messages: ChatMessage[] = [{ role: 'user', content: parts }];
  return estimateInputTokens({ model: 'm', messages, tools: [], stream: false, includeUsage: true, extra: {}, ...fields });
};
const text = (value: string): UserPart => ({ type: 'text', text: value });

describe('estimateInputTokens', () => {
  it('grows with everything that is sent', () => {
    const base = of([text('Hello')]);
    expect(base).toBeGreaterThan(1);
    const image: UserPart = { type: 'image', source: { kind: 'url', url: 'https://a' } };
    expect(of([text('Hello'), image])).toBeGreaterThan(base + 1500);
    expect(of([text('Hello')], { tools: [{ type: 'function', name: 'f' }] })).toBeGreaterThan(base + 300);
    expect(
      of([text('Hello'), { type: 'tool_result', callId: 'c', content: [{ type: 'text', text: 'It is raining' }] }]),
    ).toBeGreaterThan(base + 5);
    expect(
      of([text('Hello'), { type: 'file', source: { kind: 'base64', mediaType: 'application/pdf', data: 'A'.repeat(300_000) } }]),
    ).toBeGreaterThan(base + 9000);
  });

  it('knows that other scripts cost more than they look', () => {
    expect(of([text('東京の天気はどうですか')])).toBeGreaterThan(of([text('the weather')]) + 8);
  });

  it('takes a long prompt in its stride', () => {
    const before = performance.now();
    expect(of([text('The quick brown fox jumps over the lazy dog. '.repeat(25_000))])).toBeGreaterThan(200_000);
    expect(performance.now() - before).toBeLessThan(2000);
  });
});
