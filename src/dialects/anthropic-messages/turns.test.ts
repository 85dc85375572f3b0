import { describe, expect, it } from 'vitest';

import type { ChatMessage, UserPart } from '../../core/chat.ts';
import { modelTraits } from './models.ts';
import { encodeConversation } from './turns.ts';

const text = (value: string) => ({ type: 'text' as const, text: value });
const system = (value: string): ChatMessage => ({ role: 'system', content: [text(value)] });
const user = (...parts: (string | UserPart)[]): ChatMessage => ({
  role: 'user',
  content: parts.map((part) => (typeof part === 'string' ? text(part) : part)),
});
const assistant = (value: string): ChatMessage => ({ role: 'assistant', content: [text(value)] });
const result = (callId: string): UserPart => ({ type: 'tool_result', callId, content: [text(callId)] });
const calls = (...ids: string[]): ChatMessage => ({
  role: 'assistant',
  content: ids.map((id) => ({ type: 'tool_call', id, name: 'f', arguments: '' })),
});

function encode(messages: ChatMessage[], model = 'claude-sonnet-4-5') {
  const warned: string[] = [];
  const conversation = encodeConversation(messages, modelTraits(model), ({ param }) => void warned.push(param));
  return {
    system: conversation.system.map((block) => block.text),
    turns: conversation.messages.map(({ role, content }) =>
      [role as string].concat(content.map((block) => (block.text as string | undefined) ?? block.type)),
    ),
    warned,
  };
}

describe('encodeConversation', () => {
  it('gathers leading system and developer prompts at the top', () => {
    const developer: ChatMessage = { role: 'developer', content: [text('B')] };
    expect(encode([system('A'), developer, user('Hi')])).toEqual({ system: ['A', 'B'], turns: [['user', 'Hi']], warned: [] });
  });

  it('makes one turn of neighbours of one role', () => {
    const messages = [user('a'), user('b'), assistant('c'), assistant('d'), user('e')];
    expect(encode(messages).turns).toEqual([
      ['user', 'a', 'b'],
      ['assistant', 'c', 'd'],
      ['user', 'e'],
    ]);
  });

  it('opens the turn after tool calls with their results', () => {
    const messages = [user('a'), calls('1', '2'), system('mind the time'), user(result('1')), user('and', result('2'))];
    expect(encode(messages)).toMatchObject({
      turns: [
        ['user', 'a'],
        ['assistant', 'tool_use', 'tool_use'],
        ['user', 'tool_result', 'tool_result', 'mind the time', 'and'],
      ],
      warned: ['messages[2]'],
    });
  });

  it('keeps a system prompt in mid-conversation where the model takes it there', () => {
    const messages = [system('top'), user('a'), system('S'), assistant('b'), user('c'), system('T'), system('U')];
    expect(encode(messages, 'claude-opus-4-8')).toEqual({
      system: ['top'],
      turns: [
        ['user', 'a'],
        ['system', 'S'],
        ['assistant', 'b'],
        ['user', 'c'],
        ['system', 'T', 'U'],
      ],
      warned: [],
    });
  });

  it.each([
    {
      where: 'on an older model',
      model: 'claude-sonnet-4-5',
      messages: [user('a'), system('S'), assistant('b')],
      turns: [
        ['user', 'a', 'S'],
        ['assistant', 'b'],
      ],
      warned: ['messages[1]'],
    },
    {
      where: 'before a user turn',
      model: 'claude-opus-5',
      messages: [user('a'), system('S'), user('b')],
      turns: [['user', 'a', 'S', 'b']],
      warned: ['messages[1]'],
    },
    {
      where: 'after an assistant turn',
      model: 'claude-opus-5',
      messages: [user('a'), assistant('b'), system('S')],
      turns: [
        ['user', 'a'],
        ['assistant', 'b'],
        ['user', 'S'],
      ],
      warned: ['messages[2]'],
    },
  ])('makes it user text $where, with a warning', ({ model, messages, turns, warned }) => {
    expect(encode(messages, model)).toEqual({ system: [], turns, warned });
  });

  it('sends a lone system prompt as the user, since there must be a message', () => {
    expect(encode([system('Say hi')])).toEqual({ system: [], turns: [['user', 'Say hi']], warned: ['messages'] });
  });

  it('leaves out what is empty', () => {
    expect(encode([system(''), user('a', ''), assistant(''), user('b')])).toEqual({
      system: [],
      turns: [['user', 'a', 'b']],
      warned: [],
    });
  });
});
