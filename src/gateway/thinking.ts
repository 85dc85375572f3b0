/**
 * Thinking belongs to whoever thought it: its signatures, and the encrypted kind altogether, mean nothing to another family of models, which refuses the whole request for
 * them. So it is left out where the family changes within an exchange, and where a target complains of it.
 */
import type { ChatMessage, ChatRequest } from '../core/chat.ts';
import { type Json, isObject, listOf } from '../core/read.ts';
import { type ClientBody, parsedBody } from './body.ts';
import type { Exchange } from './exchange.ts';
import type { Provider } from '../config/snapshot.ts';

/** Whether this attempt must do without the thinking that the client sends along. */
export function dropsThinking({ withoutThinking, attempts, line }: Exchange, provider: Provider): boolean {
  if (withoutThinking === true) return true;
  const [first] = attempts;
  if (first === undefined) return false;
  const before = line.snapshot.providers[first.provider];
  return before !== undefined && familyOf(before) !== familyOf(provider);
}

/** Whose signatures are good at each other's: Anthropic's models sign alike wherever they run. */
function familyOf({ dialect, type }: Provider): string {
  return dialect === 'anthropic-messages' ? dialect : type;
}

/** For a translation. Text that nobody has signed may go on: encoders know what their dialect does with it. */
export function requestWithoutThinking(request: ChatRequest): ChatRequest {
  return { ...request, messages: request.messages.map(messageWithout).filter(({ content }) => content.length > 0) };
}

function messageWithout(message: ChatMessage): ChatMessage {
  if (message.role !== 'assistant') return message;
  const content = message.content.filter(
    (part) => part.type !== 'reasoning' || (part.signature === undefined && part.redacted === undefined),
  );
  return { ...message, content };
}

/** The members of a relayed body that hold thinking, as JSON, without it; none where there is none. */
export function membersWithoutThinking(surface: string, body: ClientBody): Record<string, string> {
  const shape = SHAPES[surface];
  if (shape === undefined || !shape.mayHave.test(body.bytes.toString('latin1'))) return {};
  return shape.without(parsedBody(body));
}

interface Shape {
  /** Cheap to ask before the body is parsed. */
  mayHave: RegExp;
  without: (body: Json) => Record<string, string>;
}

const THINKING_BLOCKS = new Set(['thinking', 'redacted_thinking']);
/** OpenAI itself shows none; its imitators have these names for it. */
const CHAT_MEMBERS = new Set(['reasoning_content', 'reasoning', 'reasoning_details', 'thinking_blocks']);

const SHAPES: Readonly<Record<string, Shape>> = {
  messages: { mayHave: /"(redacted_)?thinking"/, without: anthropicWithout },
  count_tokens: { mayHave: /"(redacted_)?thinking"/, without: anthropicWithout },
  chat: { mayHave: /"(reasoning|thinking)/, without: chatWithout },
  responses: { mayHave: /"reasoning"/, without: responsesWithout },
};

function anthropicWithout({ messages, thinking }: Json): Record<string, string> {
  const kept = listOf(messages)
    .map(anthropicMessageWithout)
    .filter(({ content }) => !Array.isArray(content) || content.length > 0);
  // A running tool loop may only go on with thinking where its turn opens with some.
  const inToolLoop = listOf(kept.findLast(({ role }) => role === 'assistant')?.content).some(({ type }) => type === 'tool_use');
  return {
    messages: JSON.stringify(kept),
    ...(inToolLoop && thinking !== undefined && { thinking: '{"type":"disabled"}' }),
  };
}

function anthropicMessageWithout(message: Json): Json {
  const { content } = message;
  return Array.isArray(content) ? { ...message, content: content.filter(isNoThinking) } : message;
}

function isNoThinking(block: unknown): boolean {
  return !isObject(block) || !THINKING_BLOCKS.has(String(block.type));
}

function chatWithout({ messages }: Json): Record<string, string> {
  const kept = listOf(messages).map((message) =>
    message.role === 'assistant'
      ? Object.fromEntries(Object.entries(message).filter(([name]) => !CHAT_MEMBERS.has(name)))
      : message,
  );
  return { messages: JSON.stringify(kept) };
}

function responsesWithout({ input }: Json): Record<string, string> {
  if (!Array.isArray(input)) return {};
  return { input: JSON.stringify(input.filter((item) => !isObject(item) || item.type !== 'reasoning')) };
}
