/**
 * The greatest cost that a request can have at a target: what a hard budget sets aside before it is sent.
 *
 * Input: half its bytes as tokens (a token of two bytes is rare in any language, and JSON adds bytes without tokens), more for images, the whole context window where the
 * request names content that is not in it; at the dearest rate that input can have. Output: choices × (cap, or the model's maximum), at the dearest rate of output.
 */
import type { DialectId } from '../core/dialect-id.ts';
import type { NanoUsd } from '../core/money.ts';
import type { ModelBounds, Price, Rate } from '../core/price.ts';
import { OPEN_BRACKET, QUOTE } from '../lib/ascii.ts';
import { itemsWith } from '../lib/json-list.ts';
import { type Span, readString, scanObject } from '../lib/json-scan.ts';
import { billedApart } from './request-apart.ts';
import { type RequestShape, hidesLetters, isSet, outputWish, says, timesSaid } from './request-shape.ts';

/** A bound that is linear in the tokens of one choice, so that a cap can be found for any amount. */
export interface Bound {
  /** All but the output. Pico-USD. */
  fixedPicoUsd: number;
  /** For each token of a choice: all choices together. Pico-USD. */
  perTokenPicoUsd: number;
  /** Per choice: the client's cap or the model's maximum, whichever is less; absent: there is neither. */
  capTokens?: number;
  /** The cap that the target is sent as it is; absent: none. */
  sentCapTokens?: number;
  choices: number;
}

/** The part of it that says what an amount of output costs. */
export type Line = Pick<Bound, 'fixedPicoUsd' | 'perTokenPicoUsd'>;

/** Why there is none, as a clause that follows "because". */
export interface Unbounded {
  because: string;
}

export interface BoundParts {
  shape: RequestShape;
  /** Of the provider. */
  dialect: DialectId;
  price: Price;
  bounds: ModelBounds;
  /** False: the surface answers no tokens (embeddings). */
  generates: boolean;
}

const PICO_PER_NANO = 1_000;

/** 2 MB of JSON and a cap of 128,000 tokens at 600 USD/Mtok are 0.7e15 pico-USD: far below 2^53. Beyond, a double is still right to 16 digits. */
export function boundOf({ shape, dialect, price, bounds, generates }: BoundParts): Bound | Unbounded {
  const apart = billedApart(shape);
  if (apart.unbounded !== undefined) return { because: apart.unbounded };
  const input = inputTokens(shape, { dialect, bounds, webSearches: apart.webSearches });
  if (typeof input === 'string') return { because: input };
  if (apart.webSearches > 0 && price.webSearch === undefined) return { because: 'searches of the web have no price' };
  const audio = hasAudio(price) && says(shape, 'audio');
  const inputRate = dearest(inputRates(shape, { price, dialect, audio }), input);
  const outputRate = generates ? dearest([price.output, price.reasoning, audio ? price.outputAudio : undefined], input) : 0;
  const { choices, capTokens } = outputWish(shape);
  return {
    fixedPicoUsd: input * inputRate + dearest([price.request], input) + apart.webSearches * dearest([price.webSearch], input),
    perTokenPicoUsd: choices * outputRate,
    choices,
    ...(generates ? capsOf(capTokens, bounds) : { capTokens: 0 }),
  };
}

function capsOf(sent: number | undefined, { maxOutputTokens }: ModelBounds): Pick<Bound, 'capTokens' | 'sentCapTokens'> {
  if (sent !== undefined) return { capTokens: Math.min(sent, maxOutputTokens ?? Infinity), sentCapTokens: sent };
  return maxOutputTokens === undefined ? {} : { capTokens: maxOutputTokens };
}

/** Nano-USD, rounded up. */
export function boundAt({ fixedPicoUsd, perTokenPicoUsd }: Line, tokens: number): NanoUsd {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.ceil((fixedPicoUsd + tokens * perTokenPicoUsd) / PICO_PER_NANO));
}

/** The most tokens per choice that this amount pays for; 0 where it does not even pay the input. */
export function tokensFor(bound: Line, nanoUsd: NanoUsd): number {
  const { fixedPicoUsd, perTokenPicoUsd } = bound;
  if (perTokenPicoUsd === 0) return boundAt(bound, 0) <= nanoUsd ? Number.MAX_SAFE_INTEGER : 0;
  const tokens = Math.floor((nanoUsd * PICO_PER_NANO - fixedPicoUsd) / perTokenPicoUsd);
  const fits = tokens > 0 && boundAt(bound, tokens) > nanoUsd ? tokens - 1 : tokens;
  return Math.max(0, fits);
}

/** Tiers depend on the input: the dearest of all that the bound can reach. */
function dearest(rates: readonly (Rate | undefined)[], input: number): number {
  let most = 0;
  for (const rate of rates) {
    if (rate === undefined) continue;
    most = Math.max(most, rate.picoUsd);
    for (const { aboveTokens, picoUsd } of rate.tiers ?? []) if (input > aboveTokens) most = Math.max(most, picoUsd);
  }
  return most;
}

function hasAudio({ inputAudio, outputAudio, cacheReadAudio }: Price): boolean {
  return inputAudio !== undefined || outputAudio !== undefined || cacheReadAudio !== undefined;
}

/** Anthropic writes to its cache only where it is asked to; others by themselves. */
function inputRates(
  shape: RequestShape,
  { price, dialect, audio }: { price: Price; dialect: DialectId; audio: boolean },
): (Rate | undefined)[] {
  const { input, cacheRead, cacheWrite, cacheWrite1h, inputAudio, cacheReadAudio } = price;
  const rates = [input, cacheRead, ...(audio ? [inputAudio, cacheReadAudio] : [])];
  if (cacheWrite === undefined && cacheWrite1h === undefined) return rates;
  if (dialect === 'anthropic-messages' && !says(shape, CACHE_CONTROL)) return rates;
  return [...rates, cacheWrite, ...(shape.bytes.includes('1h') || hidesAnything(shape.bytes) ? [cacheWrite1h] : [])];
}

/** Of `cache_control`, as much as is found fast. */
const CACHE_CONTROL = '_contr';

function hidesAnything(bytes: Buffer): boolean {
  return bytes.includes('\\u00');
}

const SMALL_BYTES = 4_096;
const ODD = /_(?:id|data|url|upload|content)"|ument"|mage"|\\u00/;

/** Small bodies are looked through at once: eight searches cost a microsecond, one expression a quarter of that. */
function holdsOnlyText(bytes: Buffer): boolean {
  return bytes.length <= SMALL_BYTES && !ODD.test(bytes.toString('latin1'));
}

/** Members that stand for content kept by the provider. */
const ELSEWHERE = ['previous_response_id', 'conversation', 'prompt'] as const;
/** Items of `responses` that say all there is of them. */
const WHOLE_ITEMS = /^(?:function|custom_tool|local_shell|shell|apply_patch|computer)_call(?:_output)?$/;
const ID = Buffer.from('"id"');
/** Words of parts whose content is elsewhere, or is a file whose size says little about its tokens. Searched by pieces that begin with a rare letter and have less than seven: thirty times as fast. */
const ELSEWHERE_PARTS = ['_id"', '_data"', '_url"', 'ument"', '_uplo', '_cont'].map((word) => Buffer.from(word));
const PART_NAMES = /"(?:file_id|file_data|file_url|video_url|document|container_upload|cached_content)"/;
const LONGEST_PART = '"container_upload"'.length;

/** The dearest image by its dialect: Anthropic's greatest (docs: 4,784 visual tokens); OpenAI's gpt-4o-mini (2,833 + 8 tiles of 5,667). */
const IMAGE_TOKENS: Readonly<Partial<Record<DialectId, number>>> = { 'anthropic-messages': 5_000 };
const OTHER_IMAGE_TOKENS = 50_000;
/** Anthropic adds a prompt of its own to requests with tools: 346 tokens, 1,245 with its own kinds. */
const TOOL_PROMPT_TOKENS = 1_250;

function inputTokens(
  shape: RequestShape,
  { dialect, bounds, webSearches }: { dialect: DialectId; bounds: ModelBounds; webSearches: number },
): number | string {
  const own = Math.ceil((shape.bytes.length + bytesOf(shape.defaults)) / 2);
  const isPlain = holdsOnlyText(shape.bytes);
  const images = isPlain ? 0 : imagesIn(shape) * (IMAGE_TOKENS[dialect] ?? OTHER_IMAGE_TOKENS);
  const prompt = dialect === 'anthropic-messages' && isSet(shape, 'tools') ? TOOL_PROMPT_TOKENS : 0;
  const shown = own + images + prompt;
  if (webSearches === 0 && !hasContentElsewhere(shape, isPlain)) return shown;
  if (bounds.contextWindow === undefined) {
    return 'it names content that is not in it, and the context window of the model is not known (set `context_window`)';
  }
  // Every search is followed by another look at the whole prompt and all that was found.
  return Math.max(shown, (webSearches + 1) * bounds.contextWindow);
}

function bytesOf(defaults: Readonly<Record<string, unknown>>): number {
  for (const _ in defaults) return JSON.stringify(defaults).length;
  return 0;
}

function hasContentElsewhere(shape: RequestShape, isPlain: boolean): boolean {
  for (const name of ELSEWHERE) if (isSet(shape, name)) return true;
  if (namesKeptItems(shape)) return true;
  if (isPlain) return false;
  const { bytes } = shape;
  if (hidesLetters(bytes)) return true;
  return ELSEWHERE_PARTS.some((end) => {
    for (let at = bytes.indexOf(end); at !== -1; at = bytes.indexOf(end, at + end.length)) {
      const word = bytes.toString('latin1', Math.max(0, at - LONGEST_PART), at + LONGEST_PART);
      if (PART_NAMES.test(word)) return true;
    }
    return false;
  });
}

/** `responses` takes the provider's own items by their id: references to them, and reasoning whose text was never told. */
function namesKeptItems({ bytes, members }: RequestShape): boolean {
  const input = members.get('input');
  if (input === undefined) return false;
  const first = bytes.indexOf(ID, input.valueStart);
  if (first === -1 || first >= input.valueEnd) return false;
  const items = itemsWith(bytes, input, 'id');
  return items === undefined || items.some(({ start, end, found }) => found.length > 0 && !isWhole(bytes.subarray(start, end)));
}

/** Not parsed: agents send megabytes of such items. */
function isWhole(item: Buffer): boolean {
  const scan = scanObject(item);
  if (!scan.ok) return false;
  const { members } = scan;
  const type = members.has('type') ? readString(item, members.get('type')) : 'message';
  if (type === 'message') return holds(item, members.get('content'), [QUOTE, OPEN_BRACKET]);
  if (type === 'reasoning') return holds(item, members.get('encrypted_content'), [QUOTE]);
  return type !== undefined && WHOLE_ITEMS.test(type);
}

/** The member is there, begins so, and is more than its two marks. */
function holds(bytes: Buffer, span: Span | undefined, marks: readonly number[]): boolean {
  return span !== undefined && span.valueEnd - span.valueStart > 2 && marks.includes(bytes[span.valueStart]!);
}

const IMAGE_URL = Buffer.from('_url"');
const IMAGE = Buffer.from('mage"');

/** Chat says `image_url` twice for each, responses `input_image` and `image_url`, messages `image`. */
function imagesIn(shape: RequestShape): number {
  const plain = timesSaid(shape, IMAGE);
  const byUrl = timesSaid(shape, IMAGE_URL);
  return shape.members.has('messages') ? plain + Math.ceil(byUrl / 2) : Math.max(plain, byUrl);
}
