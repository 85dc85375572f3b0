/** A chat request as a message to an agent, and an agent's events as the text of an answer: an agent called as a model. */
import type { ChatMessage, ChatRequest, UserPart } from '../../core/chat.ts';
import { unsupported } from '../../core/read.ts';
import type { JsonObject } from '../../agents/a2a/methods.ts';
import { isTerminal, objectOf, stateNamed } from '../../agents/a2a/read.ts';

/** The conversation that a request goes on with, where it names one. */
export interface Conversation {
  context?: string;
  task?: string;
}

/**
 * Parameters of SendMessage (1.0). Whoever names a conversation sends its last word only, since the agent knows the rest; else all that was said goes along, each with its
 * speaker.
 */
export function paramsOf({ messages }: ChatRequest, { context, task }: Conversation, messageId: string): JsonObject {
  const known = context !== undefined || task !== undefined;
  const last = messages.findLast(({ role }) => role === 'user');
  const parts = last === undefined ? [] : (last.content as UserPart[]).flatMap(partOf);
  const told =
    known || messages.length < 2 ? parts : [{ text: transcriptOf(messages) }, ...parts.filter((part) => !('text' in part))];
  return {
    message: {
      messageId,
      role: 'ROLE_USER',
      parts: told,
      ...(context !== undefined && { contextId: context }),
      ...(task !== undefined && { taskId: task }),
    },
  };
}

function transcriptOf(messages: readonly ChatMessage[]): string {
  return messages.map(({ role, content }) => `${role}: ${(content as UserPart[]).flatMap(textIn).join('\n')}`).join('\n\n');
}

function textIn(part: UserPart): string[] {
  if (part.type === 'text') return [part.text];
  return part.type === 'tool_result' ? part.content.flatMap((each) => (each.type === 'text' ? [each.text] : [])) : [];
}

/** Throws unsupported_parameter for what a message cannot hold. */
function partOf(part: UserPart): JsonObject[] {
  if (part.type === 'text') return [{ text: part.text }];
  if (part.type === 'tool_result') return textIn(part).map((text) => ({ text }));
  if (part.type !== 'image' && part.type !== 'file') throw unsupported('messages', `an agent takes no ${part.type} parts`);
  const { source } = part;
  const filename = part.type === 'file' && part.filename !== undefined ? { filename: part.filename } : {};
  if (source.kind === 'url') return [{ url: source.url, ...filename }];
  if (source.kind === 'base64') return [{ raw: source.data, mediaType: source.mediaType, ...filename }];
  if (source.kind === 'text') return [{ text: source.text }];
  throw unsupported('messages', 'an agent cannot read files that the provider of a model keeps');
}

/** What the events of a call come to. */
export interface AgentAnswer {
  /** Text that is new with this event. */
  take: (event: unknown) => string;
  /** What else there is to say once the last event has come: what it asks, or what it says where there was no artifact. */
  rest: () => string;
  readonly state: string | undefined;
  /** The words of the last status. */
  readonly statusText: string;
}

export function createAgentAnswer(): AgentAnswer {
  const seen = new Set<string>();
  let hasText = false;
  let state: string | undefined;
  let statusText = '';
  const noteStatus = (status: JsonObject | undefined): void => {
    state = stateNamed(status?.state) ?? state;
    const told = textOfParts(objectOf(status?.message)?.parts);
    if (told !== '' && (isTerminal(state) || state === 'input-required' || state === 'auth-required')) statusText = told;
  };
  const artifactText = (artifact: JsonObject, append: boolean): string => {
    const id = typeof artifact.artifactId === 'string' ? artifact.artifactId : '';
    // What a client has it cannot be made to forget: a later version of a whole artifact is not said again.
    if (seen.has(id) && !append) return '';
    seen.add(id);
    return textOfParts(artifact.parts);
  };
  const textOf = (event: unknown): string => {
    const { task, message, statusUpdate, artifactUpdate } = objectOf(event) ?? {};
    const whole = objectOf(task);
    if (whole !== undefined) {
      noteStatus(objectOf(whole.status));
      return listOf(whole.artifacts)
        .map((each) => artifactText(each, false))
        .join('');
    }
    if (objectOf(statusUpdate) !== undefined) noteStatus(objectOf(objectOf(statusUpdate)!.status));
    const update = objectOf(artifactUpdate);
    if (update !== undefined) return artifactText(objectOf(update.artifact) ?? {}, update.append === true);
    const said = objectOf(message);
    if (said !== undefined) state = 'completed';
    return said === undefined ? '' : textOfParts(said.parts);
  };
  return {
    take(event) {
      const text = textOf(event);
      hasText ||= text !== '';
      return text;
    },
    rest: () =>
      state === 'input-required' || state === 'auth-required'
        ? (hasText && statusText !== '' ? '\n' : '') + statusText
        : hasText
          ? ''
          : statusText,
    get state() {
      return state;
    },
    get statusText() {
      return statusText;
    },
  };
}

function listOf(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.map(objectOf).filter((each) => each !== undefined) : [];
}

/** Text as it is, data as JSON, files by their place. */
function textOfParts(parts: unknown): string {
  return listOf(parts).map(textOfPart).join('');
}

function textOfPart({ text, data, url, filename }: JsonObject): string {
  if (typeof text === 'string') return text;
  if (data !== undefined) return JSON.stringify(data);
  if (typeof url === 'string') return url;
  return typeof filename === 'string' && filename !== '' ? `[${filename}]` : '';
}
