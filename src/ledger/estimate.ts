/**
 * What an answer cost whose provider did not tell: its client left, it was cut, or it says no usage at all. Learned per target from the answers that do tell: bytes per
 * token on both sides, the share of the input that comes from caches, how fast it writes, and how long its answers are.
 *
 * An estimate is meant to be right on average, not to be safe: sums over many exchanges shall agree with the bill. It is always flagged as one.
 */
import { type Usage, NO_USAGE } from '../core/usage.ts';
import { createLru } from '../lib/lru.ts';

export interface Answered {
  requestBytes: number;
  /** Bytes that the client got, or would have got. */
  answerBytes: number;
  /** From sending the request to the first byte of the answer, and to its end. */
  firstByteMs: number;
  totalMs: number;
  usage: Usage;
}

export interface Unanswered {
  requestBytes: number;
  /** What the client got of it. */
  answerBytes: number;
  /** Since the request was sent; absent `firstByteMs`: not a byte of the answer has come. */
  firstByteMs?: number;
  elapsedMs: number;
  stream: boolean;
  /** We hung up, and the provider finds out in its own time. False: it ended by itself. */
  hungUp: boolean;
  /** No more than that in all choices, if it is known. */
  mostTokens?: number;
  /** What the provider did tell, before the end. */
  told?: Usage;
}

export interface Estimator {
  /** `kind`: the target, and the surface it was asked through: bytes per token differ. */
  learn(kind: string, answered: Answered): void;
  usageOf(kind: string, unanswered: Unanswered): Usage;
  inputTokens(kind: string, requestBytes: number): number;
  /** Of the answer so far. */
  outputTokens(kind: string, answerBytes: number): number;
  /** The same, but rather too many: until it is learned, no event is thought to need more than 16 bytes for a token. */
  mostOutputTokens(kind: string, answerBytes: number): number;
}

const LEAST_BYTES_PER_TOKEN = 16;

/** Providers go on for a while after their reader has gone; the estimate counts with so much. */
export const HANG_UP_MS = 2_000;

/** Until something is learned: English, JSON around it, and one event of 200 bytes per token; 50 tokens a second. */
const FIRST: Readonly<Learned> = Object.freeze({
  requestBytes: 4_000,
  inputTokens: 1_000,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  answerBytes: 20_000,
  outputTokens: 100,
  writingMs: 2_000,
  waitingMs: 0,
  answers: 0,
});

/** Decaying sums: ratios of them are means in which the last five hundred answers count most. */
interface Learned {
  requestBytes: number;
  inputTokens: number;
  cacheReadTokens: number;
  cacheWriteTokens: number;
  answerBytes: number;
  outputTokens: number;
  writingMs: number;
  waitingMs: number;
  answers: number;
}

interface Kind {
  sums: Learned;
  /** Answers and their tokens, by length: four classes to each doubling. Later ones weigh more, instead of earlier ones less. */
  counts: Float64Array;
  tokens: Float64Array;
  weight: number;
}

const KEEP = 0.998;
const CLASSES = 96;
const MAX_WEIGHT = 1e100;
const MAX_KINDS = 1_000;

export function createEstimator(): Estimator {
  const kinds = createLru<string, Kind>(MAX_KINDS);
  const sumsOf = (kind: string): Readonly<Learned> => kinds.get(kind)?.sums ?? FIRST;
  const inputTokens = (kind: string, requestBytes: number): number => {
    const { inputTokens, requestBytes: bytes } = sumsOf(kind);
    return Math.max(1, Math.round((requestBytes * inputTokens) / bytes));
  };
  const outputTokens = (kind: string, answerBytes: number): number => {
    const { outputTokens, answerBytes: bytes } = sumsOf(kind);
    return Math.round((answerBytes * outputTokens) / bytes);
  };
  return {
    learn(kind, answered) {
      // A request that cost no input tells no ratio.
      if (answered.usage.inputTokens === 0) return;
      let known = kinds.get(kind);
      if (known === undefined) kinds.set(kind, (known = newKind()));
      learn(known, answered);
    },
    usageOf(kind, seen) {
      const { told } = seen;
      const sums = sumsOf(kind);
      const input = told !== undefined && told.inputTokens > 0 ? told : inputOf(sums, inputTokens(kind, seen.requestBytes));
      const output = Math.max(told?.outputTokens ?? 0, written(kinds.get(kind), sums, seen));
      return { ...NO_USAGE, ...input, outputTokens: Math.round(Math.min(output, seen.mostTokens ?? Infinity)) };
    },
    inputTokens,
    outputTokens,
    mostOutputTokens: (kind, answerBytes) =>
      kinds.get(kind) === undefined ? Math.ceil(answerBytes / LEAST_BYTES_PER_TOKEN) : outputTokens(kind, answerBytes),
  };
}

function newKind(): Kind {
  return { sums: { ...FIRST, answers: 0 }, counts: new Float64Array(CLASSES), tokens: new Float64Array(CLASSES), weight: 1 };
}

function learn(kind: Kind, { requestBytes, answerBytes, firstByteMs, totalMs, usage }: Answered): void {
  const { sums } = kind;
  // What stood there before anything was known gives way to the first answer.
  const keep = sums.answers === 0 ? 0 : KEEP;
  const news: Learned = {
    requestBytes,
    inputTokens: usage.inputTokens,
    cacheReadTokens: usage.cacheReadTokens,
    cacheWriteTokens: usage.cacheWriteTokens,
    answerBytes,
    outputTokens: usage.outputTokens,
    writingMs: totalMs - firstByteMs,
    waitingMs: firstByteMs,
    answers: 1,
  };
  for (const name of Object.keys(news) as (keyof Learned)[]) sums[name] = sums[name] * keep + news[name];
  noteLength(kind, usage.outputTokens);
}

function noteLength(kind: Kind, outputTokens: number): void {
  const index = classOf(outputTokens);
  kind.weight /= KEEP;
  kind.counts[index]! += kind.weight;
  kind.tokens[index]! += kind.weight * outputTokens;
  if (kind.weight < MAX_WEIGHT) return;
  for (let each = 0; each < CLASSES; each++) {
    kind.counts[each]! /= kind.weight;
    kind.tokens[each]! /= kind.weight;
  }
  kind.weight = 1;
}

function classOf(tokens: number): number {
  return Math.min(CLASSES - 1, Math.floor(4 * Math.log2(1 + tokens)));
}

function inputOf(sums: Learned, inputTokens: number): Partial<Usage> {
  const share = (tokens: number): number => Math.round((inputTokens * tokens) / sums.inputTokens);
  return { inputTokens, cacheReadTokens: share(sums.cacheReadTokens), cacheWriteTokens: share(sums.cacheWriteTokens) };
}

/** Tokens written so far, as far as bytes or time tell, and those that follow until the provider finds out that nobody reads. */
function written(kind: Kind | undefined, sums: Learned, seen: Unanswered): number {
  const sofar = seen.stream ? (seen.answerBytes * sums.outputTokens) / Math.max(1, sums.answerBytes) : unseen(sums, seen);
  if (!seen.hungUp) return sofar;
  return expected(kind, { least: sofar, most: sofar + speed(sums, seen.stream) * HANG_UP_MS });
}

/** Tokens per millisecond: a stream's while it flows; of an answer that comes at once, over all the time that it took. */
function speed(sums: Learned, stream: boolean): number {
  const ms = stream ? sums.writingMs : sums.writingMs + sums.waitingMs;
  return sums.outputTokens / Math.max(1, ms);
}

function unseen(sums: Learned, { answerBytes, elapsedMs, firstByteMs }: Unanswered): number {
  // An answer that comes whole was written before its first byte.
  if (firstByteMs !== undefined && answerBytes > 0) return (answerBytes * sums.outputTokens) / Math.max(1, sums.answerBytes);
  return speed(sums, false) * elapsedMs;
}

/** The mean length, not more than `most`, of those answers that are longer than `least`. */
function expected(kind: Kind | undefined, { least, most }: { least: number; most: number }): number {
  if (kind === undefined) return most;
  let answers = 0;
  let tokens = 0;
  for (let index = classOf(least); index < CLASSES; index++) {
    const count = kind.counts[index]!;
    if (count === 0) continue;
    const length = kind.tokens[index]! / count;
    if (length < least) continue;
    answers += count;
    tokens += count * Math.min(length, most);
  }
  // Longer than all that were seen: it ends whenever it ends.
  return answers < kind.weight / 100 ? least : Math.max(least, tokens / answers);
}
