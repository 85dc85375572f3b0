/** A message to an agent as what a chat model is told: texts and images. */
import type { AgentConfig } from '../../core/agent.ts';
import { ProtocolError } from '../a2a/protocol.ts';
import type { JsonObject } from '../a2a/methods.ts';
import { objectOf } from '../a2a/read.ts';

/** As Chat Completions has them. */
export type ChatPart = { type: 'text'; text: string } | { type: 'image_url'; image_url: { url: string } };
export interface ChatSaid {
  role: 'system' | 'user' | 'assistant';
  content: string | ChatPart[];
}

/** Images that chat models take. */
const IMAGE_TYPES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];
const TEXT_TYPES = new Set(['text', '*/*']);

/** What the agent takes: what its operator says, else texts and images. */
export function takenBy({ capabilities: { inputTypes }, refuses }: AgentConfig): readonly string[] {
  if (inputTypes.length > 0) return inputTypes;
  return refuses.files === true ? ['text/plain'] : ['text/plain', ...IMAGE_TYPES];
}

/** Throws -32602 where there is nothing to read, -32005 where the model could not. */
export function saidIn(message: JsonObject, taken: readonly string[]): ChatSaid {
  const parts = Array.isArray(message.parts) ? message.parts.map((part) => chatPart(objectOf(part) ?? {}, taken)) : [];
  if (parts.length === 0) throw new ProtocolError(-32602, 'The message has no parts');
  const texts = parts.flatMap((part) => (part.type === 'text' ? [part.text] : []));
  return { role: 'user', content: texts.length === parts.length ? texts.join('\n') : parts };
}

function chatPart({ text, raw, url, mediaType }: JsonObject, taken: readonly string[]): ChatPart {
  if (typeof text === 'string') return { type: 'text', text };
  const type = typeof mediaType === 'string' ? mediaType.toLowerCase().split(';')[0]!.trim() : '';
  const source = typeof raw === 'string' ? `data:${type};base64,${raw}` : url;
  if (typeof source === 'string' && IMAGE_TYPES.includes(type) && isTaken(type, taken)) {
    return { type: 'image_url', image_url: { url: source } };
  }
  const what = typeof source === 'string' ? `files of the type \`${type.slice(0, 64)}\`` : 'data';
  throw new ProtocolError(-32005, `This agent takes no ${what}; it takes ${taken.join(', ')}`);
}

function isTaken(type: string, taken: readonly string[]): boolean {
  return taken.some((each) => each === type || each === 'image' || each === 'image/*' || each === '*/*');
}

/** What it answers is text. Throws -32005 where the caller takes none. */
export function requireText(configuration: JsonObject): void {
  const { acceptedOutputModes: modes } = configuration;
  if (!Array.isArray(modes) || modes.length === 0) return;
  if (modes.some((mode) => typeof mode === 'string' && (TEXT_TYPES.has(mode) || mode.startsWith('text/')))) return;
  throw new ProtocolError(-32005, 'This agent answers text only');
}

/** The message as the task keeps it: without the bytes of files, which the model has had. */
export function keptMessage(message: JsonObject, ids: { taskId: string; contextId: string }): JsonObject {
  const parts = (message.parts as JsonObject[]).map((part) => {
    if (part.raw === undefined) return part;
    const { raw: _, ...rest } = part;
    return Object.assign(rest, { text: '' });
  });
  return { ...message, ...ids, parts };
}

/** The same of what is said again with the next message. */
export function withoutFiles({ role, content }: ChatSaid): ChatSaid {
  if (typeof content === 'string') return { role, content };
  return { role, content: content.map((part) => (part.type === 'text' ? part.text : '[image]')).join('\n') };
}
