/**
 * The order Anthropic demands of a conversation, made out of messages in any order:
 * leading system prompts become the top-level `system`; neighbours of one role become one turn; tool results open their turn.
 */
import type { ChatMessage, Warning } from '../../core/chat.ts';
import { encodeAssistantContent, encodeTexts, encodeUserContent } from './content-encode.ts';
import type { ModelTraits } from './models.ts';
import type { Block } from './wire.ts';

interface Turn {
  role: 'user' | 'assistant' | 'system';
  content: Block[];
}

interface Conversation {
  system: Block[];
  messages: Turn[];
}

/**
 * A system prompt in mid-conversation stays in place where the model takes it there: after a user turn, and last or before an assistant
 * turn (platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages). Everywhere else it becomes user text, with a
 * warning: moving it to the top would change which turns it governs.
 */
export function encodeConversation(
  messages: readonly ChatMessage[],
  traits: ModelTraits,
  warn: (warning: Warning) => void,
): Conversation {
  const lead = leadingSystemCount(messages);
  const system = messages
    .slice(0, lead)
    .flatMap((message) => encodeTexts(message.content.filter((part) => part.type === 'text')));
  const turns: Turn[] = [];
  for (let index = lead; index < messages.length; index += 1) {
    const message = messages[index];
    if (message !== undefined) add(turns, placed(encodeMessage(message, index, warn), { turns, messages, index, traits, warn }));
  }
  if (turns.length === 0 && system.length > 0) {
    warn({ param: 'messages', reason: 'without a user message the system prompt is sent as one' });
    return { system: [], messages: [{ role: 'user', content: system }] };
  }
  return { system, messages: turns.map(resultsFirst) };
}

const isSystem = (message: ChatMessage): boolean => message.role === 'system' || message.role === 'developer';

function leadingSystemCount(messages: readonly ChatMessage[]): number {
  const first = messages.findIndex((message) => !isSystem(message));
  return first === -1 ? messages.length : first;
}

function encodeMessage(message: ChatMessage, index: number, warn: (warning: Warning) => void): Turn {
  const context = { path: `messages[${index}].content`, warn };
  switch (message.role) {
    case 'user':
      return { role: 'user', content: encodeUserContent(message.content, context) };
    case 'assistant':
      return { role: 'assistant', content: encodeAssistantContent(message.content, context) };
    default:
      return { role: 'system', content: encodeTexts(message.content) };
  }
}

interface Place {
  turns: readonly Turn[];
  messages: readonly ChatMessage[];
  index: number;
  traits: ModelTraits;
  warn: (warning: Warning) => void;
}

function placed(turn: Turn, { turns, messages, index, traits, warn }: Place): Turn {
  if (turn.role !== 'system') return turn;
  const next = messages.slice(index + 1).find((message) => !isSystem(message));
  const before = turns.at(-1)?.role;
  const fits = (before === 'user' || before === 'system') && (next === undefined || next.role === 'assistant');
  if (traits.systemTurns && fits) return turn;
  warn({ param: `messages[${index}]`, reason: 'a system prompt in mid-conversation is sent as user text' });
  return { role: 'user', content: turn.content };
}

function add(turns: Turn[], turn: Turn): void {
  // An empty turn says nothing and is refused.
  if (turn.content.length === 0) return;
  const last = turns.at(-1);
  if (last?.role === turn.role) last.content.push(...turn.content);
  else turns.push({ role: turn.role, content: [...turn.content] });
}

/** After a turn with tool calls their results must open the user's turn, whatever the caller put between. */
function resultsFirst(turn: Turn): Turn {
  if (turn.role !== 'user') return turn;
  const results = turn.content.filter((block) => block.type === 'tool_result');
  return { role: 'user', content: [...results, ...turn.content.filter((block) => block.type !== 'tool_result')] };
}
