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

/** What of artifacts is new. */
function createTold() {
  const said = new Map<string, Said>();
  const ofArtifact = (artifact: JsonObject, append: boolean): string => {
    const id = typeof artifact.artifactId === 'string' ? artifact.artifactId : '';
    const known = said.get(id) ?? { hash: createHash('sha256'), length: 0 };
    said.set(id, known);
    const text = append ? textOfParts(artifact.parts) : beyond(known, textOfParts(artifact.parts));
    known.hash.update(text, TEXT);
    known.length += text.length;
    return text;
  };
  const ofTask = ({ artifacts }: JsonObject): string =>
    listOf(artifacts)
      .map((each) => ofArtifact(each, false))
      .join('');
  return { ofArtifact, ofTask };
}

/** The words of the last status of any weight. */
function createStatus() {
  const status = {
    state: undefined as string | undefined,
    text: '',
    isAsking: () => status.state === 'input-required' || status.state === 'auth-required',
    note(next: JsonObject | undefined): void {
      const before = status.state;
      status.state = stateNamed(next?.state) ?? before;
      const told = textOfParts(objectOf(next?.message)?.parts);
      if (told !== '' && (isTerminal(status.state) || status.isAsking())) status.text = told;
      // What was asked has been answered.
      else if (status.state !== before) status.text = '';
    },
  };
  return status;
}

/** `isFollowUp`: the message went to a task that was there; a task that waits, told first, is how it stood before, unless it is all. */
export function createAgentAnswer({ isFollowUp = false } = {}): AgentAnswer {
  const told = createTold();
  const status = createStatus();
  let hasText = false;
  let isFirst = true;
  let before: JsonObject | undefined;
  const textOf = (event: unknown): string => {
    const { task, message, statusUpdate, artifactUpdate } = objectOf(event) ?? {};
    const whole = objectOf(task);
    if (whole !== undefined) {
      status.note(objectOf(whole.status));
      if (!isFollowUp || !isFirst || !status.isAsking()) return told.ofTask(whole);
      before = whole;
      return '';
    }
    if (objectOf(statusUpdate) !== undefined) status.note(objectOf(objectOf(statusUpdate)!.status));
    const update = objectOf(artifactUpdate);
    if (update !== undefined) return told.ofArtifact(objectOf(update.artifact) ?? {}, update.append === true);
    const said = objectOf(message);
    if (said !== undefined) status.state = 'completed';
    return said === undefined ? '' : textOfParts(said.parts);
  };
  /** Text that was held back. */
  const beforeText = (): string => {
    const text = before === undefined ? '' : told.ofTask(before);
    before = undefined;
    return text;
  };
  return {
    take(event) {
      // The client has had it.
      beforeText();
      const text = textOf(event);
      isFirst = false;
      hasText ||= text !== '';
      return text;
    },
    rest() {
      const text = beforeText();
      const isAnswered = hasText || text !== '';
      if (status.isAsking()) return text + (isAnswered && status.text !== '' ? '\n' : '') + status.text;
      return isAnswered ? text : status.text;
    },
    get state() {
      return status.state;
    },
    get statusText() {
      return status.text;
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
