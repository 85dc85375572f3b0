/**
 * A request as its price depends on it: raw bytes, where their members stand, and what the target changes about them. Read without parsing, since relays do
 * not parse either.
 *
 * A client decides what stands in it, so nothing here may be hidden: names of top-level members cannot be escaped (the scanner refuses that), and deeper down an
 * escaped letter of plain ASCII, which no encoder writes, counts as if every word were said.
 */
import { type Span, readNumber, readString, scanObject } from '../lib/json-scan.ts';

export interface RequestShape {
  bytes: Buffer;
  members: ReadonlyMap<string, Span>;
  /** What the operator sets where the client set nothing, by its name there. */
  defaults: Readonly<Record<string, unknown>>;
  /** What the operator takes out, by its name there. */
  dropped: readonly string[];
  /** Names of parameters there: ours to theirs. */
  rename: Readonly<Record<string, string>>;
}

/** What a client may call its cap on output; all of them bound one choice. */
export const CAP_NAMES = ['max_completion_tokens', 'max_tokens', 'max_output_tokens'] as const;

export interface OutputWish {
  /** Answers asked for at once. */
  choices: number;
  /** Tokens per choice; absent: the client set none, or nothing that counts as one. */
  capTokens?: number;
}

/** Where several caps are set the greatest counts: nobody knows which one the provider reads. */
export function outputWish(shape: RequestShape): OutputWish {
  let capTokens = 0;
  for (const name of CAP_NAMES) capTokens = Math.max(capTokens, Math.floor(numberSent(shape, name) ?? 0));
  const choices = Math.max(1, Math.ceil(numberSent(shape, 'n') ?? numberInText(shape, 'n') ?? 1));
  return capTokens === 0 ? { choices } : { choices, capTokens };
}

/** A number as it will reach the target; -1 and the like, which some servers read as "no limit", are for the caller to sort out. */
function numberSent(shape: RequestShape, name: string): number | undefined {
  const theirs = shape.rename[name] ?? name;
  if (shape.dropped.includes(theirs)) return undefined;
  const span = shape.members.get(name);
  if (span !== undefined) return readNumber(shape.bytes, span);
  const set = shape.members.has(theirs) ? undefined : shape.defaults[theirs];
  return typeof set === 'number' ? set : undefined;
}

/** `"4"`: some servers take it for a number. */
function numberInText({ bytes, members }: RequestShape, name: string): number | undefined {
  const number = Number(readString(bytes, members.get(name)));
  return Number.isFinite(number) ? number : undefined;
}

/** Whether the request holds the word anywhere, or could. `word`: ASCII letters and `_`. */
export function says(shape: RequestShape, word: string): boolean {
  return shape.bytes.includes(word) || hidesLetters(shape.bytes) || saidByOperator(shape, word);
}

export function timesSaid({ bytes }: RequestShape, word: Buffer): number {
  let times = 0;
  for (let at = bytes.indexOf(word); at !== -1; at = bytes.indexOf(word, at + word.length)) times++;
  return times;
}

function saidByOperator({ defaults }: RequestShape, word: string): boolean {
  for (const name in defaults) if (name.includes(word) || JSON.stringify(defaults[name]).includes(word)) return true;
  return false;
}

const UNICODE_ESCAPE = Buffer.from('\\u00');
const [FOUR, SEVEN] = [0x34, 0x37];

/** `\u0041` to `\u007f`: letters, written so that nobody finds them. (`<`, `>` and `&` are below, and some encoders do escape those.) */
export function hidesLetters(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(UNICODE_ESCAPE); at !== -1; at = bytes.indexOf(UNICODE_ESCAPE, at + UNICODE_ESCAPE.length)) {
    const digit = bytes[at + UNICODE_ESCAPE.length] ?? 0;
    if (digit >= FOUR && digit <= SEVEN) return true;
  }
  return false;
}

/** The member is set to something, by the client or the operator: not absent, null, false, or an empty list or object. */
export function isSet(shape: RequestShape, name: string): boolean {
  return isGiven(shape, name) && !NOTHING.has(valueOf(shape, name));
}

/** The same, but for an empty object, which switches on what has only optional settings. */
export function isGiven(shape: RequestShape, name: string): boolean {
  const { members, defaults, dropped } = shape;
  if ((!members.has(name) && !Object.hasOwn(defaults, name)) || dropped.includes(name)) return false;
  const value = valueOf(shape, name);
  return value === '{}' || !NOTHING.has(value);
}

/** The beginning of it, as JSON. */
function valueOf({ bytes, members, defaults }: RequestShape, name: string): string {
  const span = members.get(name);
  if (span === undefined) return JSON.stringify(defaults[name]);
  return bytes.toString('latin1', span.valueStart, Math.min(span.valueEnd, span.valueStart + 6));
}

/** What the operator adds to the request, as one of its own; undefined where that is nothing. */
export function addedByOperator({ members, defaults, dropped }: RequestShape): RequestShape | undefined {
  const added = Object.entries(defaults).filter(([name]) => !members.has(name) && !dropped.includes(name));
  if (added.length === 0) return undefined;
  const bytes = Buffer.from(JSON.stringify(Object.fromEntries(added)));
  const scan = scanObject(bytes);
  return { bytes, members: scan.ok ? scan.members : new Map(), defaults: {}, dropped: [], rename: {} };
}

const NOTHING: ReadonlySet<string> = new Set(['null', 'false', '[]', '{}', '""']);
