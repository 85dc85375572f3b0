import { describe, expect, test } from 'vitest';

import { type ConversationBounds, createConversations } from './conversations.ts';
import type { ChatSaid } from './message.ts';

const BOUNDS: ConversationBounds = { messages: 4, bytes: 400, allBytes: 1_000, keptMs: 1_000 };
const user = (content: ChatSaid['content']): ChatSaid => ({ role: 'user', content });
const assistant = (content: string): ChatSaid => ({ role: 'assistant', content });

function started() {
  const clock = { ms: 0 };
  return { clock, conversations: createConversations(() => clock.ms, BOUNDS) };
}

describe('a conversation', () => {
  test('has the latest messages, and begins with none of the agent', () => {
    const { conversations } = started();
    conversations.add('a', [user('1'), assistant('2'), user('3')]);
    conversations.add('a', [assistant('4'), user('5'), assistant('6')]);
    expect(conversations.of('a').map(({ content }) => content)).toEqual(['3', '4', '5', '6']);
    conversations.add('a', [user('7')]);
    expect(conversations.of('a').map(({ content }) => content)).toEqual(['5', '6', '7']);
    expect(conversations.of('b')).toEqual([]);
  });

  test('has so many bytes at most, whatever they are', () => {
    const { conversations } = started();
    for (let turn = 0; turn < 3; turn++) conversations.add('a', [user(`${turn}`.repeat(120)), assistant('yes')]);
    expect(JSON.stringify(conversations.of('a')).length).toBeLessThanOrEqual(BOUNDS.bytes);
    expect(conversations.of('a').at(-1)).toEqual(assistant('yes'));
    conversations.add('a', [user('x'.repeat(500))]);
    expect(conversations.of('a')).toEqual([]);
  });

  test('says an image once where it is large, and remembers that there was one', () => {
    const { conversations } = started();
    const url = `data:image/png;base64,${'A'.repeat(300)}`;
    conversations.add('a', [
      user([
        { type: 'text', text: 'look' },
        { type: 'image_url', image_url: { url } },
      ]),
      assistant('a cat'),
    ]);
    expect(conversations.of('a')).toEqual([user('look\n[image]'), assistant('a cat')]);
  });
});

describe('all of them', () => {
  test('have so many bytes at most: those that were silent longest go first', () => {
    const { conversations } = started();
    for (const key of ['a', 'b', 'c', 'a', 'd']) conversations.add(key, [user(key.repeat(250))]);
    expect(['a', 'b', 'c', 'd'].filter((key) => conversations.of(key).length > 0)).toEqual(['a', 'c', 'd']);
  });

  test('are forgotten when nothing was said for so long', () => {
    const { clock, conversations } = started();
    conversations.add('a', [user('1')]);
    clock.ms = 600;
    conversations.add('b', [user('1')]);
    clock.ms = 1_100;
    expect([conversations.of('a').length, conversations.of('b').length]).toEqual([0, 1]);
  });
});
