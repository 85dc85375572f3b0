import { describe, expect, it } from 'vitest';

import type { AssistantPart, UserPart } from '../../core/chat.ts';
import { decodeAssistantContent, decodeUserContent } from './content-decode.ts';
import { encodeAnswerContent, encodeAssistantContent, encodeUserContent } from './content-encode.ts';

function encoder(act: typeof encodeUserContent | typeof encodeAssistantContent) {
  return (parts: readonly (UserPart | AssistantPart)[]) => {
    const warned: string[] = [];
    const blocks = (act as (parts: readonly unknown[], context: object) => unknown)(parts, {
      path: 'content',
      warn: ({ param }: { param: string }) => void warned.push(param),
    });
    return { blocks, warned };
  };
}
const encodeUser = encoder(encodeUserContent);
const encodeAssistant = encoder(encodeAssistantContent);

const cache_control = { type: 'ephemeral', ttl: '1h' };

describe('content of users', () => {
  const blocks = [
    { type: 'text', text: 'Look', cache_control },
    { type: 'image', source: { type: 'url', url: 'https://a/b.png' }, cache_control },
    { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
    { type: 'image', source: { type: 'file', file_id: 'file_1' } },
    { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'AAAA' }, title: 'T', cache_control },
    {
      type: 'document',
      source: { type: 'text', media_type: 'text/plain', data: 'words' },
      citations: { enabled: true },
      context: 'c',
    },
    { type: 'document', source: { type: 'url', url: 'https://a/b.pdf' } },
    { type: 'document', source: { type: 'file', file_id: 'file_2' } },
    { type: 'document', source: { type: 'content', content: [{ type: 'text', text: 'x' }] } },
    { type: 'search_result', source: 's', title: 't', content: [{ type: 'text', text: 'x' }] },
    { type: 'tool_result', tool_use_id: 't1', content: [{ type: 'text', text: '65' }], is_error: false, cache_control },
    {
      type: 'tool_result',
      tool_use_id: 't2',
      is_error: true,
      content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } }],
    },
    { type: 'tool_result', tool_use_id: 't3' },
  ];

  it('comes back as it was', () => {
    expect(encodeUser(decodeUserContent(blocks, 'content'))).toEqual({ blocks, warned: [] });
  });

  it('keeps the text and the files for every dialect, options beside them', () => {
    const kinds = decodeUserContent(blocks, 'content').map((part) => part.type);
    expect(kinds.filter((kind) => kind === 'file')).toHaveLength(4);
    expect(kinds.filter((kind) => kind === 'image')).toHaveLength(2);
    expect(kinds.filter((kind) => kind === 'native')).toHaveLength(4);
  });

  it('goes on as JSON where a result holds what only Anthropic knows', () => {
    const reference = { type: 'tool_reference', tool_name: 'f' };
    const hostile = { type: 'toString' };
    const [part] = decodeUserContent([{ type: 'tool_result', tool_use_id: 't', content: [reference, hostile] }], 'content');
    expect(part).toMatchObject({
      content: [
        { type: 'text', text: JSON.stringify(reference) },
        { type: 'text', text: JSON.stringify(hostile) },
      ],
    });
  });

  it('says what of other dialects it can', () => {
    const parts: UserPart[] = [
      { type: 'image', source: { kind: 'url', url: 'https://a' }, detail: 'high' },
      {
        type: 'file',
        source: { kind: 'base64', mediaType: 'text/markdown', data: Buffer.from('# A').toString('base64') },
        filename: 'a.md',
      },
      { type: 'file', source: { kind: 'base64', mediaType: 'image/png', data: 'AAAA' } },
    ];
    expect(encodeUser(parts)).toEqual({
      blocks: [
        { type: 'image', source: { type: 'url', url: 'https://a' } },
        { type: 'document', source: { type: 'text', media_type: 'text/plain', data: '# A' }, title: 'a.md' },
        { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
      ],
      warned: ['content[0].image_url.detail'],
    });
  });

  it.each<UserPart>([
    { type: 'audio', format: 'wav', data: '' },
    { type: 'native', dialect: 'openai-chat', value: { type: 'video_url' } },
    { type: 'file', source: { kind: 'base64', mediaType: 'application/zip', data: '' } },
  ])('refuses $type it would have to lose', (part) => {
    expect(() => encodeUser([part])).toThrow(/^content\[0\]: /);
  });

  it('makes ids Anthropic takes, alike in calls and results', () => {
    expect(encodeUser([{ type: 'tool_result', callId: 'functions.f:0', content: [] }]).blocks).toMatchObject([
      { tool_use_id: 'functions_f_0' },
    ]);
    expect(encodeAssistant([{ type: 'tool_call', id: 'functions.f:0', name: 'f', arguments: '' }]).blocks).toMatchObject([
      { id: 'functions_f_0' },
    ]);
  });
});

describe('content of assistants', () => {
  const blocks = [
    { type: 'thinking', thinking: 'Hm', signature: 'c2ln+/=' },
    { type: 'thinking', thinking: '', signature: 'b25seSBzaWduZWQ=' },
    { type: 'redacted_thinking', data: 'b3BhcXVl' },
    { type: 'server_tool_use', id: 's', name: 'web_search', input: { query: 'q' } },
    { type: 'web_search_tool_result', tool_use_id: 's', content: [] },
    { type: 'text', text: 'Yes', citations: [{ type: 'web_search_result_location', url: 'u' }], cache_control },
    { type: 'tool_use', id: 't', name: 'f', input: { a: 1 }, cache_control },
    { type: 'tool_use', id: 'u', name: 'g', input: {}, caller: { type: 'code_execution_20250825', tool_id: 'x' } },
  ];

  it('comes back as it was, signatures to the byte', () => {
    expect(encodeAssistant(decodeAssistantContent(blocks, 'content'))).toEqual({ blocks, warned: [] });
  });

  it('gives other dialects the text of what is cited', () => {
    expect(decodeAssistantContent(blocks, 'content')).toContainEqual({ type: 'text', text: 'Yes', cacheControl: cache_control });
  });

  it('gives calls without arguments an empty object', () => {
    const parts = decodeAssistantContent([{ type: 'tool_use', id: 't', name: 'f', input: {} }], 'content');
    expect(parts).toEqual([{ type: 'tool_call', id: 't', name: 'f', arguments: '{}' }]);
    expect(encodeAssistant([{ type: 'tool_call', id: 't', name: 'f', arguments: '' }]).blocks).toMatchObject([{ input: {} }]);
  });

  it('keeps arguments that are no object where the model can read them', () => {
    const parts: AssistantPart[] = ['{"a":', '[1]', '7'].map((text) => ({
      type: 'tool_call',
      id: 't',
      name: 'f',
      arguments: text,
    }));
    expect(encodeAssistant(parts).blocks).toMatchObject([
      { input: { invalid_json: '{"a":' } },
      { input: { invalid_json: '[1]' } },
      { input: { invalid_json: '7' } },
    ]);
  });

  it('sends no thinking back that Anthropic did not sign', () => {
    const unsigned = decodeAssistantContent([{ type: 'thinking', thinking: 'Hm', signature: '' }], 'content');
    expect(unsigned).toEqual([{ type: 'reasoning', text: 'Hm' }]);
    expect(encodeAssistant(unsigned)).toEqual({ blocks: [], warned: ['content[0]'] });
    expect(encodeAnswerContent(unsigned, () => expect.unreachable())).toEqual([
      { type: 'thinking', thinking: 'Hm', signature: '' },
    ]);
  });

  it('leaves out what another dialect alone knows, with a warning', () => {
    const annotation: AssistantPart = {
      type: 'native',
      dialect: 'openai-chat',
      value: { type: 'annotation', fields: { audio: {} } },
    };
    expect(encodeAssistant([{ type: 'refusal', text: 'No' }, annotation])).toEqual({
      blocks: [{ type: 'text', text: 'No' }],
      warned: ['content[1]'],
    });
  });
});
