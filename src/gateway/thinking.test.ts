import { expect, test } from 'vitest';

import type { ChatRequest } from '../core/chat.ts';
import { readClientBody } from './body.ts';
import { membersWithoutThinking, requestWithoutThinking } from './thinking.ts';

function without(surface: string, body: object): Record<string, unknown> {
  const members = membersWithoutThinking(surface, readClientBody(Buffer.from(JSON.stringify({ model: 'm', ...body }))));
  return Object.fromEntries(Object.entries(members).map(([name, json]) => [name, JSON.parse(json) as unknown]));
}

const THINKING = { type: 'thinking', thinking: 'hm', signature: 'sig' };

test('Anthropic: thinking and redacted thinking go, and turns that were nothing else', () => {
  const messages = [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: [THINKING, { type: 'redacted_thinking', data: 'x' }, { type: 'text', text: 'b' }] },
    { role: 'user', content: 'c' },
    { role: 'assistant', content: [THINKING] },
  ];
  expect(without('messages', { messages, thinking: { type: 'enabled', budget_tokens: 1024 } })).toEqual({
    messages: [messages[0], { role: 'assistant', content: [{ type: 'text', text: 'b' }] }, messages[2]],
  });
});

test('Anthropic: a tool loop that has lost its thinking goes on without', () => {
  const call = { type: 'tool_use', id: 't', name: 'f', input: {} };
  const result = { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't', content: 'x' }] };
  const messages = [{ role: 'user', content: 'a' }, { role: 'assistant', content: [THINKING, call] }, result];
  expect(without('messages', { messages, thinking: { type: 'enabled', budget_tokens: 1024 } })).toEqual({
    messages: [messages[0], { role: 'assistant', content: [call] }, result],
    thinking: { type: 'disabled' },
  });
});

test('Chat: the members that imitators of OpenAI have for it; Responses: whole items', () => {
  const messages = [{ role: 'assistant', content: 'b', reasoning_content: 'hm', reasoning_details: [{}] }];
  expect(without('chat', { messages })).toEqual({ messages: [{ role: 'assistant', content: 'b' }] });
  const input = [
    { type: 'reasoning', encrypted_content: 'x' },
    { role: 'user', content: 'a' },
  ];
  expect(without('responses', { input })).toEqual({ input: [{ role: 'user', content: 'a' }] });
});

test('a body without any is not touched', () => {
  expect(without('messages', { messages: [{ role: 'user', content: 'a' }] })).toEqual({});
  expect(without('embeddings', { input: 'thinking' })).toEqual({});
});

test('a translation keeps what nobody has signed', () => {
  const request = {
    messages: [
      { role: 'user', content: [{ type: 'text', text: 'a' }] },
      {
        role: 'assistant',
        content: [
          { type: 'reasoning', text: 'plain' },
          { type: 'text', text: 'b' },
        ],
      },
      { role: 'assistant', content: [{ type: 'reasoning', text: 'signed', signature: 's' }] },
    ],
  } as unknown as ChatRequest;
  expect(requestWithoutThinking(request).messages).toEqual(request.messages.slice(0, 2));
});
