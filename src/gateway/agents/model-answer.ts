/** An agent's events as the text of an answer: an agent called as a model. */
import { type Hash, createHash } from 'node:crypto';

import type { JsonObject } from '../../agents/a2a/methods.ts';
import { isTerminal, objectOf, stateNamed } from '../../agents/a2a/read.ts';

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

/** What the client has of an artifact: not kept, only known again. */
interface Said {
  hash: Hash;
  length: number;
}

/** Pieces may end in the middle of a character. */
const TEXT = 'utf16le';

/** Of a whole artifact, what goes on behind what was said of it. What a client has it cannot be made to forget: another version is not said. */
function beyond({ hash, length }: Said, text: string): string {
  if (length === 0) return text;
  const isSame = hash
    .copy()
    .digest()
    .equals(createHash('sha256').update(text.slice(0, length), TEXT).digest());
  return isSame ? text.slice(length) : '';
}

export function createAgentAnswer(): AgentAnswer {
  const said = new Map<string, Said>();
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
    const known = said.get(id) ?? { hash: createHash('sha256'), length: 0 };
    said.set(id, known);
    const text = append ? textOfParts(artifact.parts) : beyond(known, textOfParts(artifact.parts));
    known.hash.update(text, TEXT);
    known.length += text.length;
    return text;
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
