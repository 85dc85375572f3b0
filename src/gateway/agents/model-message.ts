/** A chat request as a message to an agent: an agent called as a model. */
import type { AssistantPart, ChatMessage, ChatRequest, UserPart, Warning } from '../../core/chat.ts';
import type { DialectId } from '../../core/dialect-id.ts';
import { invalid, unsupported } from '../../core/read.ts';
import type { JsonObject } from '../../agents/a2a/methods.ts';

/** The conversation that a request goes on with, where it names one. */
export interface Conversation {
  context?: string;
  task?: string;
}

/** What is read of a request, by the names of its dialect. Anthropic's clients must name a limit, whether they care or not. */
const READ: Partial<Record<DialectId, ReadonlySet<string>>> = {
  'openai-chat': new Set(['model', 'messages', 'stream', 'stream_options', 'metadata', 'user', 'n', 'logprobs']),
  'anthropic-messages': new Set(['model', 'messages', 'system', 'stream', 'metadata', 'max_tokens']),
};

/**
 * The parameters that an agent does not get, by the names that the client wrote. Throws unsupported_parameter where an answer without them is another one than was asked
 * for.
 */
export function leftOut(body: JsonObject, request: ChatRequest, dialect: DialectId): Warning[] {
  if (request.n !== undefined && request.n > 1) throw unsupported('n', 'an agent gives one answer');
  if (request.logprobs === true) throw unsupported('logprobs', 'an agent tells no log probabilities');
  if (request.responseFormat?.type === 'json_schema') throw unsupported('response_format', 'an agent keeps to no schema');
  if (request.toolChoice?.type === 'required' || request.toolChoice?.type === 'tool')
    throw unsupported('tool_choice', 'an agent chooses its own tools');
  const names = Object.keys(body).filter((name) => READ[dialect]?.has(name) !== true && isSaid(body[name]));
  return names.map((param) => ({ param, reason: 'an agent goes by its own' }));
}

/** The rest says what holds anyway. */
function isSaid(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false && !(Array.isArray(value) && value.length === 0);
}

/**
 * Parameters of SendMessage (1.0). Whoever names a conversation sends what the user has said since its last answer, since the agent knows the rest; else all that was said
 * goes along, each with its speaker. Throws invalid_request where nothing was said, unsupported_parameter for what a message cannot hold.
 */
export function paramsOf({ messages }: ChatRequest, { context, task }: Conversation, messageId: string): JsonObject {
  const isKnown = context !== undefined || task !== undefined;
  const parts = isKnown ? newest(messages) : messages.length === 1 ? partsOf(messages) : transcript(messages);
  if (parts.every(({ text }) => text === '')) throw invalid('messages', 'an agent needs something to answer');
  return {
    message: {
      messageId,
      role: 'ROLE_USER',
      parts,
      ...(context !== undefined && { contextId: context }),
      ...(task !== undefined && { taskId: task }),
    },
  };
}

function newest(messages: readonly ChatMessage[]): JsonObject[] {
  const answered = messages.findLastIndex(({ role }) => role === 'assistant');
  return partsOf(messages.slice(answered + 1).filter(({ role }) => role === 'user'));
}

/** The text of everybody in one, then all files. */
function transcript(messages: readonly ChatMessage[]): JsonObject[] {
  const told = messages.map(({ role, content }) => `${role}: ${content.flatMap(textIn).join('\n')}`);
  const isSilent = messages.every(({ content }) => content.flatMap(textIn).join('') === '');
  const files = partsOf(messages).filter((part) => !('text' in part));
  return isSilent ? files : [{ text: told.join('\n\n') }, ...files];
}

type Part = UserPart | AssistantPart;

/** What was thought is nobody's word. */
function textIn(part: Part): string[] {
  if (part.type === 'text' || part.type === 'refusal') return [part.text];
  if (part.type === 'tool_call') return [`${part.name}(${part.arguments})`];
  if (part.type === 'file') return part.source.kind === 'text' ? [part.source.text] : [];
  return part.type === 'tool_result' ? part.content.flatMap(textIn) : [];
}

function partsOf(messages: readonly ChatMessage[]): JsonObject[] {
  return messages.flatMap(({ role, content }) =>
    role === 'assistant' ? content.flatMap(textIn).map((text) => ({ text })) : (content as UserPart[]).flatMap(partOf),
  );
}

function partOf(part: UserPart): JsonObject[] {
  if (part.type === 'text') return [{ text: part.text }];
  if (part.type === 'tool_result') return part.content.flatMap(partOf);
  if (part.type !== 'image' && part.type !== 'file') throw unsupported('messages', `an agent takes no ${part.type} parts`);
  const { source } = part;
  const filename = part.type === 'file' && part.filename !== undefined ? { filename: part.filename } : {};
  if (source.kind === 'url') return [{ url: source.url, ...filename }];
  if (source.kind === 'base64') return [{ raw: source.data, mediaType: source.mediaType, ...filename }];
  if (source.kind === 'text') return [{ text: source.text }];
  throw unsupported('messages', 'an agent cannot read files that the provider of a model keeps');
}
