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
  /** Since the request was sent. */
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
  /** Once for each: that it was left tells of its length. */
  usageOf(kind: string, unanswered: Unanswered): Usage;
  /** Rather too much: what a strict budget must count with, so that the bill never surprises it. */
  mostUsageOf(kind: string, unanswered: Unanswered): Usage;
  inputTokens(kind: string, requestBytes: number): number;
  /** What an answer has on average. */
  answerTokens(kind: string): number;
  /** Of the answer so far. */
  outputTokens(kind: string, answerBytes: number): number;
  /** The same, but rather too many: as dense as the densest of late, and until that is known a token in every 16 bytes. */
  mostOutputTokens(kind: string, answerBytes: number): number;
}

const LEAST_BYTES_PER_TOKEN = 16;
/** Of shorter answers the frame is the most part: they would make all seem thin. */
const TELLING_TOKENS = 32;

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
  bytesSquared: 0,
  bytesByTokens: 0,
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
  bytesSquared: number;
  bytesByTokens: number;
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
  /** Tokens per byte of the densest answer of late; undefined: none was long enough to tell. */
  densest: number | undefined;
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
  const answerTokens = (kind: string): number => {
    const sums = sumsOf(kind);
    return sums.answers === 0 ? sums.outputTokens : sums.outputTokens / sums.answers;
  };
  const outputTokens = (kind: string, answerBytes: number): number => Math.round(tokensIn(sumsOf(kind), answerBytes));
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
    mostUsageOf(kind, seen) {
      const { told } = seen;
      const input = told !== undefined && told.inputTokens > 0 ? told : { inputTokens: Math.ceil(seen.requestBytes / 2) };
      const output = Math.max(told?.outputTokens ?? 0, mostWritten(kinds.get(kind), seen));
      return { ...NO_USAGE, ...input, outputTokens: Math.ceil(Math.min(output, seen.mostTokens ?? Infinity)) };
    },
    inputTokens,
    answerTokens,
    outputTokens,
    mostOutputTokens: (kind, answerBytes) => mostTokensIn(kinds.get(kind), answerBytes),
  };
}

function newKind(): Kind {
  return {
    sums: { ...FIRST, answers: 0 },
    counts: new Float64Array(CLASSES),
    tokens: new Float64Array(CLASSES),
    weight: 1,
    densest: undefined,
  };
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
    bytesSquared: answerBytes * answerBytes,
    bytesByTokens: answerBytes * usage.outputTokens,
    writingMs: totalMs - firstByteMs,
    waitingMs: firstByteMs,
    answers: 1,
  };
  for (const name of MEMBERS) sums[name] = sums[name] * keep + news[name];
  noteLength(kind, usage.outputTokens);
  if (usage.outputTokens >= TELLING_TOKENS && answerBytes > 0) {
    kind.densest = Math.max((kind.densest ?? 0) * KEEP, usage.outputTokens / answerBytes);
  }
}

const MEMBERS = Object.keys(FIRST) as readonly (keyof Learned)[];

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
  const sofar = seen.stream ? tokensIn(sums, seen.answerBytes) : unseen(sums, seen);
  if (!seen.hungUp) return sofar;
  return expected(kind, { least: sofar, most: sofar + speed(sums, seen.stream) * HANG_UP_MS });
}

/** Answers and providers differ from what was learned: by so much, and by a few tokens more. */
const MARGIN = 1.25;
const MARGIN_TOKENS = 64;

function mostWritten(kind: Kind | undefined, seen: Unanswered): number {
  const sums = kind?.sums ?? FIRST;
  const shown = seen.stream || seen.answerBytes > 0;
  const fast = 2 * Math.max(speed(sums, seen.stream), speed(FIRST, true));
  const sofar = shown ? mostTokensIn(kind, seen.answerBytes) : fast * seen.elapsedMs;
  return sofar * MARGIN + MARGIN_TOKENS + (seen.hungUp ? fast * HANG_UP_MS : 0);
}

function mostTokensIn(kind: Kind | undefined, bytes: number): number {
  const dense = bytes * (kind?.densest ?? 1 / LEAST_BYTES_PER_TOKEN);
  return Math.ceil(kind === undefined ? dense : Math.max(dense, tokensIn(kind.sums, bytes)));
}

const LEAST_SPREAD = 0.01;

/**
 * Least squares: tokens as a line over bytes, so that the frame of an answer, which a part of it does not have, counts for nothing, and tokens that are never shown
 * count from the first byte on.
 */
function tokensIn(sums: Learned, bytes: number, isWhole = false): number {
  if (bytes === 0) return 0;
  const { answers, answerBytes, outputTokens, bytesSquared, bytesByTokens } = sums;
  const ratio = outputTokens / Math.max(1, answerBytes);
  const spread = answers * bytesSquared - answerBytes * answerBytes;
  const slope = (answers * bytesByTokens - answerBytes * outputTokens) / spread;
  // Answers of one length tell no line, and a steep or flat one tells of chance.
  const isLine = spread > answers * bytesSquared * LEAST_SPREAD && slope > ratio / 4 && slope < ratio * 4;
  if (!isLine) return bytes * ratio;
  const atZero = (outputTokens - slope * answerBytes) / answers;
  return Math.max(1, bytes * slope + (isWhole ? atZero : Math.max(0, atZero)));
}

/** Tokens per millisecond: a stream's while it flows; of an answer that comes at once, over all the time that it took. */
function speed(sums: Learned, stream: boolean): number {
  const ms = stream ? sums.writingMs : sums.writingMs + sums.waitingMs;
  return sums.outputTokens / Math.max(1, ms);
}

/** An answer that comes whole was written before its first byte. */
function unseen(sums: Learned, { answerBytes, elapsedMs }: Unanswered): number {
  return answerBytes > 0 ? tokensIn(sums, answerBytes, true) : speed(sums, false) * elapsedMs;
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
  if (answers < kind.weight / 100) return least;
  noteLonger(kind, least, (answers + kind.weight) / answers);
  return Math.max(least, tokens / answers);
}

/**
 * An answer that was left is longer than what was seen of it: it counts as all of those that are (the redistribution to the right by which Efron described the
 * Kaplan–Meier estimator). Without that the long ones, which are left more often, would be thought rarer than they are.
 */
function noteLonger({ counts, tokens }: Kind, least: number, factor: number): void {
  for (let index = classOf(least); index < CLASSES; index++) {
    if (tokens[index]! < least * counts[index]!) continue;
    counts[index]! *= factor;
    tokens[index]! *= factor;
  }
}
