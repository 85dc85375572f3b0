import { describe, expect, it } from 'vitest';

import type { ChatRequest, Reasoning } from '../../core/chat.ts';
import { modelTraits } from './models.ts';
import { decodeReasoning, encodeThinking, thinkingExtra } from './thinking.ts';

function encode(model: string, reasoning: Reasoning | undefined, fields: Partial<ChatRequest> = {}, maxTokens?: number) {
  const warned: string[] = [];
  const request: ChatRequest = { model, messages: [], tools: [], stream: false, includeUsage: true, extra: {}, ...fields };
  const thinking = encodeThinking(reasoning === undefined ? request : { ...request, reasoning }, {
    traits: modelTraits(model),
    maxTokens,
    warn: ({ reason }) => void warned.push(reason),
  });
  return { ...thinking, warned };
}

const effort = (word: string): Reasoning => ({ mode: 'enabled', effort: word });

describe('reasoning effort as thinking', () => {
  it.each([
    ['minimal', 1024, 'low'],
    ['low', 2048, 'low'],
    ['medium', 8192, 'medium'],
    ['high', 16_384, 'high'],
    ['xhigh', 32_768, 'xhigh'],
    ['max', 49_152, 'max'],
  ])('%s is a budget of %i, or the effort %s', (word, budget, adaptive) => {
    expect(encode('claude-sonnet-4-5', effort(word))).toEqual({
      thinking: { type: 'enabled', budget_tokens: budget },
      warned: [],
    });
    expect(encode('claude-opus-4-8', effort(word))).toEqual({ thinking: { type: 'adaptive' }, effort: adaptive, warned: [] });
  });

  it('is nothing where nothing was said', () => {
    expect(encode('claude-opus-5', undefined)).toEqual({ warned: [] });
  });

  it('is switched off, or turned down where it cannot be', () => {
    expect(encode('claude-sonnet-4-5', { mode: 'disabled' })).toEqual({ thinking: { type: 'disabled' }, warned: [] });
    const always = encode('claude-opus-5-5', { mode: 'disabled', effort: 'none' });
    expect(always).toMatchObject({ effort: 'low', warned: [expect.any(String)] });
    expect(always.thinking).toBeUndefined();
  });

  it('names what a model does not know', () => {
    expect(encode('claude-opus-4-6', effort('xhigh'))).toMatchObject({ effort: 'high', warned: [expect.any(String)] });
    expect(encode('claude-opus-5', effort('enormous'))).toEqual({ thinking: { type: 'adaptive' }, warned: [expect.any(String)] });
    expect(encode('claude-opus-5', effort('constructor')).effort).toBeUndefined();
  });

  it('keeps the budget below max_tokens', () => {
    expect(encode('claude-sonnet-4-5', effort('high'), {}, 8000).thinking).toEqual({ type: 'enabled', budget_tokens: 6000 });
    expect(encode('claude-sonnet-4-5', effort('high'), {}, 1100).thinking).toEqual({ type: 'enabled', budget_tokens: 1024 });
    expect(encode('claude-sonnet-4-5', effort('high'), {}, 1024)).toEqual({ warned: [expect.any(String)] });
    expect(encode('claude-sonnet-4-5', { mode: 'enabled', budgetTokens: 5000 }, {}, 5000).thinking).toMatchObject({
      budget_tokens: 3750,
    });
  });

  it('keeps a budget where the model takes one, else makes an effort of it', () => {
    const asked: Reasoning = { mode: 'enabled', budgetTokens: 5000 };
    expect(encode('claude-opus-4-6', asked).thinking).toEqual({ type: 'enabled', budget_tokens: 5000 });
    expect(encode('claude-opus-4-8', asked)).toMatchObject({ thinking: { type: 'adaptive' }, effort: 'medium' });
    expect(encode('claude-opus-4-8', { mode: 'enabled', budgetTokens: 1e6 })).toMatchObject({ effort: 'max' });
  });

  it('gives way to a forced tool', () => {
    const forced: Partial<ChatRequest> = { toolChoice: { type: 'required' } };
    expect(encode('claude-sonnet-4-5', effort('low'), forced)).toEqual({ warned: [expect.any(String)] });
    expect(encode('claude-opus-4-8', effort('low'), forced)).toEqual({ effort: 'low', warned: [expect.any(String)] });
  });

  it('gives way in a tool loop that began without signed thinking, where only a budget would do', () => {
    const call = { type: 'tool_call' as const, id: 'c', name: 'f', arguments: '{}' };
    const result = { role: 'user' as const, content: [{ type: 'tool_result' as const, callId: 'c', content: [] }] };
    const loop: Partial<ChatRequest> = { messages: [{ role: 'assistant', content: [call] }, result] };
    expect(encode('claude-sonnet-4-5', effort('low'), loop)).toEqual({ warned: [expect.any(String)] });
    expect(encode('claude-opus-4-8', effort('low'), loop).thinking).toEqual({ type: 'adaptive' });
    const signed = { type: 'reasoning' as const, text: 't', signature: 's' };
    const signedLoop: Partial<ChatRequest> = { messages: [{ role: 'assistant', content: [signed, call] }, result] };
    expect(encode('claude-sonnet-4-5', effort('low'), signedLoop).thinking).toEqual({ type: 'enabled', budget_tokens: 2048 });
    const over: Partial<ChatRequest> = {
      messages: [...loop.messages!, { role: 'assistant', content: [{ type: 'text', text: 'done' }] }],
    };
    expect(encode('claude-sonnet-4-5', effort('low'), over).thinking).toBeDefined();
  });
});

describe('decodeReasoning', () => {
  it.each([
    [{ type: 'enabled', budget_tokens: 2000 }, undefined, { mode: 'enabled', budgetTokens: 2000 }],
    [{ type: 'adaptive' }, 'xhigh', { mode: 'adaptive', effort: 'xhigh' }],
    [{ type: 'disabled' }, undefined, { mode: 'disabled' }],
    [undefined, 'low', { mode: 'adaptive', effort: 'low' }],
    [undefined, undefined, undefined],
  ])('%j with effort %s', (thinking, word, expected) => {
    expect(decodeReasoning(thinking, word)).toEqual(expected);
  });

  it('carries what only Anthropic has home', () => {
    const thinking = { type: 'between_tools', display: 'omitted' };
    const extra = thinkingExtra(thinking);
    expect(extra).toEqual({ 'thinking.type': 'between_tools', 'thinking.display': 'omitted' });
    expect(encode('claude-sonnet-5-5', decodeReasoning(thinking, undefined), { extra }).thinking).toEqual({
      type: 'between_tools',
    });
  });
});

describe('modelTraits', () => {
  it.each([
    ['claude-3-5-sonnet-20241022', { adaptive: false, budget: true, sampling: 'all', strictTools: false }],
    ['claude-3-7-sonnet@20250219', { adaptive: false, sampling: 'all' }],
    ['claude-opus-4-20250514', { adaptive: false, sampling: 'all', strictTools: false }],
    ['claude-opus-4-1-20250805', { sampling: 'either', strictTools: true }],
    ['claude-haiku-4-5', { adaptive: false, sampling: 'either', strictTools: true, systemTurns: false }],
    ['claude-sonnet-4-6', { adaptive: true, budget: true, xhigh: false, sampling: 'either' }],
    ['anthropic.claude-opus-4-7-v1:0', { adaptive: true, budget: false, xhigh: true, sampling: 'none', systemTurns: false }],
    ['claude-opus-4-8', { systemTurns: true, alwaysThinks: false }],
    ['claude-sonnet-5', { systemTurns: false, alwaysThinks: false, sampling: 'none' }],
    ['claude-opus-5-5', { systemTurns: true, alwaysThinks: true }],
    ['claude-haiku-5-5', { systemTurns: false, alwaysThinks: false }],
    ['claude-fable-5', { systemTurns: true, alwaysThinks: true }],
    ['claude-mythos-preview', { adaptive: true, budget: false, alwaysThinks: true }],
    ['MiniMax-M3', { adaptive: false, budget: true, sampling: 'all', systemTurns: false }],
  ])('%s', (name, traits) => {
    expect(modelTraits(name)).toMatchObject(traits);
  });
});
