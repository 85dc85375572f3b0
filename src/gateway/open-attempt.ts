/** An attempt while it is under way, and what its end teaches of its target. */
import type { GatewayError } from '../core/errors.ts';
import type { AttemptFact } from '../core/exchange.ts';
import type { Candidate } from '../routing/candidate.ts';
import { FAILURES, type FailureKind, kindOf } from '../routing/failure.ts';
import type { TargetOutcome } from '../routing/live.ts';
import type { TargetAttempt } from '../routing/target-state.ts';
import type { Dispatched, UpstreamAnswer } from '../upstream/types.ts';
import type { Exchange } from './exchange.ts';
import type { Prepared } from './prepare.ts';

/** Where an attempt goes: admitted, and its money set aside. */
export interface Chosen {
  candidate: Candidate;
  /** It finds out whether a half-open breaker may close, and has claimed that. */
  probe: boolean;
}

/** An upstream that answered, and how its answer is to be read. Its attempt is still open: it ends with the body. */
export interface Served {
  answer: UpstreamAnswer;
  prepared: Prepared;
  attempt: OpenAttempt;
}

/** An attempt under way. */
export interface OpenAttempt extends Chosen {
  fact: AttemptFact;
  startedAt: number;
  /** performance.now() of the first content that came. */
  firstContentAt?: number | undefined;
  /** Until it is told how it ended. */
  live: TargetAttempt;
  /** Its end is booked. */
  closed: boolean;
}

/** Begins with the dispatch; from here on the exchange's `abort` ends it. */
export function openAttempt(
  exchange: Exchange,
  chosen: Chosen,
  begun: { spanId: string; startedAt: number; sent: Dispatched },
): OpenAttempt {
  const { plane } = exchange;
  const { target, place } = chosen.candidate;
  const fact: AttemptFact = {
    target: target.id,
    provider: target.provider,
    upstreamModel: target.upstreamModel,
    // The window that pays is the one in which the money was set aside.
    startedAtMs: exchange.spend?.atMs ?? exchange.atMs + (begun.startedAt - exchange.request.startedAt),
    totalMs: 0,
    spanId: begun.spanId,
  };
  const live = plane.targets.began(place, plane.nowMs());
  const attempt: OpenAttempt = { ...chosen, fact, startedAt: begun.startedAt, live, closed: false };
  exchange.attempts.push(fact);
  exchange.candidate = chosen.candidate;
  exchange.abort = () => begun.sent.abort();
  exchange.abandon = (error) => {
    begun.sent.abort();
    closeAttempt(exchange, attempt, error);
  };
  return attempt;
}

/** The one who claimed a probe sends nothing after all: somebody else may find out. */
export function waiveProbe({ plane, resolved }: Exchange, { place }: Candidate): void {
  const attempt = plane.targets.began(place, plane.nowMs());
  const seen = { outcome: 'neutral', atMs: plane.nowMs(), probe: true } as const;
  plane.targets.ended(attempt, seen, resolved!.model.routing.breaker);
}

/** The first content is there: the target is not one that hangs. */
export function noteContent(exchange: Exchange, attempt: OpenAttempt): void {
  attempt.firstContentAt = performance.now();
  exchange.plane.targets.answered(attempt.live, exchange.plane.nowMs());
}

/** Before the client has it: what it sends next, to whichever worker, must find its way back. */
export function noteStored({ plane, candidate }: Exchange, storedId: string | undefined): void {
  if (storedId !== undefined && candidate !== undefined) plane.pins.note(storedId, candidate.place);
}

/** Books the end of an attempt, once, and the first error that is known of it. */
export function closeAttempt(exchange: Exchange, attempt: OpenAttempt, error?: GatewayError, kind?: FailureKind): void {
  if (error !== undefined) attempt.fact.error ??= error.code;
  if (attempt.closed) return;
  attempt.closed = true;
  const endedAt = performance.now();
  attempt.fact.totalMs = endedAt - attempt.startedAt;
  teach(exchange, attempt, { error, kind: kind ?? (error === undefined ? undefined : kindOf(error)), endedAt });
}

interface End {
  error: GatewayError | undefined;
  kind: FailureKind | undefined;
  endedAt: number;
}

function teach(exchange: Exchange, attempt: OpenAttempt, { error, kind, endedAt }: End): void {
  const { plane, resolved } = exchange;
  const { candidate, probe, startedAt, firstContentAt, live } = attempt;
  const outcome = outcomeOf(exchange, attempt, kind);
  const retryAfterS = error?.details.retryAfterS;
  const seen = {
    outcome,
    atMs: plane.nowMs(),
    probe,
    ...(retryAfterS !== undefined && { retryAfterMs: retryAfterS * 1000 }),
    ...(outcome === 'ok' && { firstContentMs: (firstContentAt ?? endedAt) - startedAt }),
    ...(firstContentAt !== undefined && paceOf(exchange, endedAt - firstContentAt)),
  };
  const change = plane.targets.ended(live, seen, resolved!.model.routing.breaker);
  if (change === 'opened' || outcome === 'misconfigured' || outcome === 'exhausted')
    plane.raise('target.failing', `target:${candidate.target.id}`, { reason: kind ?? 'broken', model: resolved!.model.name });
}

function outcomeOf(exchange: Exchange, { firstContentAt }: OpenAttempt, kind: FailureKind | undefined): TargetOutcome {
  if (kind === undefined) return 'ok';
  // A caller that leaves, and a drain, say nothing of the target; the content that came before does.
  if (exchange.gone || exchange.cut !== undefined) return firstContentAt === undefined ? 'neutral' : 'ok';
  // Whoever does not know a path of the second rank may answer chats all the same.
  if (kind === 'model' && !MAIN_SURFACES.has(exchange.surface.name)) return 'neutral';
  return FAILURES[kind].outcome;
}

const MAIN_SURFACES: ReadonlySet<string> = new Set(['chat', 'messages']);

function paceOf({ usage }: Exchange, streamedMs: number): { streamedMs?: number; outputTokens?: number } {
  return usage === undefined ? {} : { streamedMs, outputTokens: usage.outputTokens };
}
