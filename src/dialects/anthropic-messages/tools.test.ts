import { describe, expect, it } from 'vitest';

import type { ChatRequest, ChatTool, Warning } from '../../core/chat.ts';
import { modelTraits } from './models.ts';
import { decodeToolChoice, decodeTools, encodeTools } from './tools.ts';

const f: ChatTool = { type: 'function', name: 'f', parameters: { type: 'object', properties: {} } };

function encode(fields: Partial<ChatRequest>, model = 'claude-sonnet-4-5') {
  const warnings: Warning[] = [];
  const request: ChatRequest = { model, messages: [], tools: [], stream: false, includeUsage: true, extra: {}, ...fields };
  return {
    ...encodeTools(request, modelTraits(model), (warning) => void warnings.push(warning)),
    warned: warnings.map(({ param }) => param),
  };
}

describe('tools', () => {
  it('come back as they were, with their options and cache markers', () => {
    const tools = [
      {
        name: 'f',
        description: 'd',
        input_schema: { type: 'object' },
        strict: true,
        cache_control: { type: 'ephemeral', ttl: '1h' },
      },
      { name: 'g', input_schema: { type: 'object' }, defer_loading: true, input_examples: [{ a: 1 }] },
      { type: 'web_search_20250305', name: 'web_search', max_uses: 3 },
      { type: 'browser_toolset_20260801' },
    ];
    const decoded = decodeTools(tools);
    expect(encode({ tools: decoded })).toEqual({ tools, warned: [] });
    expect(decoded.filter((tool) => tool.type === 'function')).toHaveLength(2);
  });

  it('may be custom by name, and forget how arguments arrive', () => {
    const [tool, ...rest] = decodeTools([
      { type: 'custom', name: 'f', input_schema: { type: 'object' }, eager_input_streaming: true },
    ]);
    expect(tool).toEqual({ type: 'function', name: 'f', parameters: { type: 'object' } });
    expect(rest).toEqual([]);
  });

  it('get the schema Anthropic demands', () => {
    const bare: ChatTool = { type: 'function', name: 'now' };
    const untyped: ChatTool = { type: 'function', name: 'f', parameters: { properties: { a: {} } } };
    expect(encode({ tools: [bare, untyped] }).tools).toEqual([
      { name: 'now', input_schema: { type: 'object', properties: {} } },
      { name: 'f', input_schema: { type: 'object', properties: { a: {} } } },
    ]);
  });

  it('are strict only where the model can be', () => {
    const strict: ChatTool = { ...f, strict: true };
    expect(encode({ tools: [strict] })).toMatchObject({ tools: [{ strict: true }], warned: [] });
    expect(encode({ tools: [strict] }, 'claude-sonnet-4-0')).toMatchObject({ warned: ['tools[0].strict'] });
    expect(encode({ tools: [strict] }, 'claude-sonnet-4-0').tools![0]).not.toHaveProperty('strict');
  });

  it('of another API are left out with a warning', () => {
    const custom: ChatTool = { type: 'native', dialect: 'openai-chat', name: 'grep', value: { type: 'custom' } };
    expect(encode({ tools: [custom, f] })).toMatchObject({ tools: [{ name: 'f' }], warned: ['tools[0]'] });
  });

  it('are declared from the history where it calls some and none are given', () => {
    const call = { type: 'tool_call' as const, id: '1', name: 'f', arguments: '' };
    expect(encode({ messages: [{ role: 'assistant', content: [call, { ...call, id: '2' }] }] })).toEqual({
      tools: [{ name: 'f', input_schema: { type: 'object' } }],
      tool_choice: { type: 'none' },
      warned: [],
    });
    expect(encode({ toolChoice: { type: 'auto' }, parallelToolCalls: false })).toEqual({ warned: [] });
  });
});

describe('tool choice', () => {
  it.each([
    [{ type: 'auto' }],
    [{ type: 'any', disable_parallel_tool_use: true }],
    [{ type: 'tool', name: 'f', disable_parallel_tool_use: false }],
    [{ type: 'none' }],
  ])('%j comes back as it was', (choice) => {
    expect(encode({ tools: [f], ...decodeToolChoice(choice) }).tool_choice).toEqual(choice);
  });

  it('carries a ban on parallel calls that came alone', () => {
    expect(encode({ tools: [f], parallelToolCalls: false }).tool_choice).toEqual({
      type: 'auto',
      disable_parallel_tool_use: true,
    });
    expect(encode({ tools: [f], parallelToolCalls: true }).tool_choice).toBeUndefined();
    expect(encode({ tools: [f], toolChoice: { type: 'none' }, parallelToolCalls: false }).tool_choice).toEqual({ type: 'none' });
  });
});
