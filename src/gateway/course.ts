/**
 * The course of an exchange over models, candidates and attempts, until one answers or nothing may follow: the planner chooses, limits and budgets have their say, failures
 * are classified, retries counted, fallbacks taken.
 */
import type { ServerResponse } from 'node:http';

import { GatewayError } from '../core/errors.ts';
import type { RoutingFact } from '../core/exchange.ts';
import type { Candidate } from '../routing/candidate.ts';
import { obstacleOf } from '../routing/explain.ts';
import type { FallbackCause } from '../core/routing.ts';
import { FAILURES } from '../routing/failure.ts';
import type { Planner } from '../routing/planner.ts';
import type { RouteRequest } from '../routing/request.ts';
import { countsAsRetry, mayComeBack, mayGoOn, waitMs } from '../routing/retry.ts';
import { admitTarget, endTarget } from './admit.ts';
import { type Failure, attemptAt } from './attempt.ts';
import type { ClientBody } from './body.ts';
import { type Exchange, noteFailure } from './exchange.ts';
import { type Fallbacks, beginFallbacks } from './fallbacks.ts';
import { sendRefusal } from './refused-relay.ts';
import { type Chosen, waiveProbe } from './open-attempt.ts';
import { deadlineAtMs, routeRequestOf } from './route-request.ts';
import { reserveSpend } from './spend.ts';

interface Course {
  exchange: Exchange;
  body: ClientBody;
  fallbacks: Fallbacks;
  leg: Leg;
  /** Why candidates were passed over without being asked. */
  passedOver: GatewayError[];
  last?: Failure;
}

/** The part of the course at one model. */
interface Leg {
  planner: Planner;
  request: RouteRequest;
  /** Place of the model. */
  place: number;
  excluded: Candidate[];
  failures: Failure[];
  /** Attempts that count, after the first. */
  retries: number;
  returns: number;
}

/**
 * Answers the client. Throws the last failure; where no attempt was made, what stood in the way: budget_exceeded, budget_reserved, budget_unenforceable, rate_limited,
 * no_target.
 */
export async function answerInTurn(exchange: Exchange, body: ClientBody, response: ServerResponse): Promise<void> {
  const fallbacks = beginFallbacks(exchange, body);
  const course: Course = { exchange, body: fallbacks.body, fallbacks, leg: beginLeg(exchange, fallbacks.body), passedOver: [] };
  for (;;) {
    const chosen = await choose(course);
    if (chosen === undefined) return giveUp(course, response);
    const failure = await attemptAt(exchange, course.body, chosen, response);
    if (failure === undefined) return;
    course.last = failure;
    if (!(await mayFollow(course, failure))) return giveUp(course, response);
  }
}

function beginLeg(exchange: Exchange, body: ClientBody): Leg {
  const { line, plane } = exchange;
  const resolved = exchange.resolved!;
  const planner = line.plannerOf(resolved);
  const place = line.placeOf(resolved);
  plane.retries.requested(place, plane.nowMs());
  exchange.deadlineAtMs ??= deadlineAtMs(exchange);
  const request = routeRequestOf(exchange, body, planner.pool);
  noteRouting(exchange, { planner, request });
  return { planner, request, place, excluded: [], failures: [], retries: 0, returns: 0 };
}

/** What is known at the first choice is what explains it; where there is none, there is nothing to explain. */
function noteRouting(exchange: Exchange, { planner, request }: Pick<Leg, 'planner' | 'request'>): void {
  const { pool } = planner;
  const { strategy, fallbacks } = exchange.resolved!.model.routing;
  const isChoice = pool.candidates.length > 1 || fallbacks.general !== undefined;
  if (exchange.routing !== undefined || !isChoice) return;
  const considered = planner.consider(request, exchange.plane.nowMs());
  exchange.routing = { strategy, candidates: pool.candidates.length, considered, ...decidedBy(request) };
}

function decidedBy({ pinned, stickyKey }: RouteRequest): Pick<RoutingFact, 'by'> {
  if (pinned !== undefined) return { by: 'pinned' };
  return stickyKey === undefined ? {} : { by: 'sticky' };
}

/** The only ones that may go on with what the client has. */
function canContinue({ target }: Candidate): boolean {
  return target.canContinue === true;
}

/** The next one to ask, with its limits and its money; undefined: nobody is left. */
async function choose(course: Course): Promise<Chosen | undefined> {
  const { exchange } = course;
  for (;;) {
    const chosen = pick(course);
    if (chosen === undefined) {
      const { request, failures } = course.leg;
      if (failures.length === 0) course.fallbacks.failed(obstacle(course));
      if (await fallBack(course)) continue;
      // What only had to stand back behind other models need not any more.
      if (request.fallbackLeft === true && !course.fallbacks.anyLeft()) continue;
      if (await comeBack(course)) continue;
      return undefined;
    }
    const refused = await admitted(course, chosen.candidate);
    if (refused === undefined) return chosen;
    if (chosen.probe) waiveProbe(exchange, chosen.candidate);
    course.passedOver.push(refused);
    if (exchange.routing !== undefined) exchange.routing.passedOver = course.passedOver.length;
    course.leg.excluded.push(chosen.candidate);
  }
}

/** Why nobody could be asked, as far as a list of fallbacks is kept for it. */
function obstacle({ exchange, leg }: Course): FallbackCause {
  const considered = leg.planner.consider(leg.request, exchange.plane.nowMs());
  const filters = new Set(considered.map(({ excludedBy }) => excludedBy));
  if (filters.has('context_window')) return 'context_window';
  // One that let everybody pass leaves our own limits, which were asked last.
  return filters.has('limits') || filters.has(undefined) ? 'rate_limit' : 'general';
}

/** A half-open breaker lets one attempt through, by whoever claims it; where nothing else is left, that is no reason not to go. */
function pick({ exchange, fallbacks, leg }: Course): Chosen | undefined {
  const { plane, resolved } = exchange;
  const { targets } = plane;
  const nowMs = plane.nowMs();
  const busy: Candidate[] = [];
  leg.request.fallbackLeft = fallbacks.anyLeft();
  if (exchange.continuation?.resumed === true) leg.request.mayUse = canContinue;
  for (;;) {
    const excluded = busy.length === 0 ? leg.excluded : [...leg.excluded, ...busy];
    const candidate = leg.planner.pick(leg.request, excluded, nowMs);
    if (candidate === undefined) {
      const [first] = busy;
      return first === undefined || leg.request.fallbackLeft ? undefined : { candidate: first, probe: false };
    }
    if (targets.breaker(candidate.place, nowMs) !== 'probing') return { candidate, probe: false };
    if (targets.claimProbe(candidate.place, nowMs, resolved!.model.routing.breaker)) return { candidate, probe: true };
    busy.push(candidate);
  }
}

/** Takes its limits and sets its money aside. Undefined: it may go. */
async function admitted({ exchange, body }: Course, { target }: Candidate): Promise<GatewayError | undefined> {
  const refused = await admitTarget(exchange, body, target);
  if (refused !== undefined) return refused;
  const spend = await reserveSpend(exchange, body, target);
  if (!(spend instanceof GatewayError)) {
    exchange.spend = spend;
    return undefined;
  }
  endTarget(exchange, { undelivered: true });
  return spend;
}

/** Whether anything may be tried after that failure; notes what it means for the rest of the course. */
async function mayFollow(course: Course, failure: Failure): Promise<boolean> {
  const { exchange, leg, fallbacks } = course;
  const { kind, candidate, undelivered } = failure;
  if (isOver(exchange)) return false;
  if (kind === 'signature') return withoutThinking(exchange);
  const { cause } = FAILURES[kind];
  fallbacks.failed(cause);
  if (!mayGoOn(kind)) return cause !== undefined && fallBack(course);
  leg.failures.push(failure);
  if (kind !== 'stale') leg.excluded.push(candidate);
  if (!countsAsRetry(kind, undelivered)) return true;
  return takeRetry(course) || fallBack(course);
}

function isOver({ gone, cut, deadlineAtMs, plane }: Exchange): boolean {
  return gone || cut !== undefined || plane.nowMs() >= deadlineAtMs!;
}

function withoutThinking(exchange: Exchange): boolean {
  if (exchange.withoutThinking === true) return false;
  exchange.withoutThinking = true;
  return true;
}

function takeRetry({ exchange: { plane, resolved }, leg }: Course): boolean {
  if (leg.retries >= resolved!.model.routing.retries || !plane.retries.takeRetry(leg.place)) return false;
  leg.retries++;
  return true;
}

async function fallBack(course: Course): Promise<boolean> {
  const { exchange, fallbacks } = course;
  if (isOver(exchange)) return false;
  const from = exchange.resolved!.model.name;
  const body = await fallbacks.next((refused) => course.passedOver.push(refused));
  if (body === undefined) return false;
  if (exchange.routing !== undefined) (exchange.routing.fellFrom ??= []).push(from);
  course.body = body;
  course.leg = beginLeg(exchange, body);
  return true;
}

/** Everybody has failed: after a pause, once more to one that may be better by then. */
async function comeBack({ exchange, leg }: Course): Promise<boolean> {
  const { plane, resolved, deadlineAtMs } = exchange;
  if (isOver(exchange) || leg.returns >= resolved!.model.routing.retries) return false;
  const waits = leg.failures.flatMap((failure) => {
    const { kind, error } = failure;
    const retryAfterMs = (error.details.retryAfterS ?? 0) * 1000;
    const ms =
      mayComeBack(kind) && error.details.shouldRetry !== false
        ? waitMs({ kind, retryAfterMs }, leg.returns + 1, plane.random())
        : undefined;
    return ms === undefined ? [] : [{ failure, ms }];
  });
  const [soonest] = waits.toSorted((a, b) => a.ms - b.ms);
  if (soonest === undefined || plane.nowMs() + soonest.ms >= deadlineAtMs!) return false;
  const { candidate, kind, undelivered } = soonest.failure;
  // What counted has been taken already.
  if (!countsAsRetry(kind, undelivered) && !plane.retries.takeRetry(leg.place)) return false;
  leg.returns++;
  leg.excluded = leg.excluded.filter((each) => each !== candidate);
  leg.failures = leg.failures.filter((each) => each !== soonest.failure);
  await pause(exchange, soonest.ms);
  return !isOver(exchange);
}

/** Ends early when the client leaves. */
async function pause(exchange: Exchange, ms: number): Promise<void> {
  if (ms <= 0) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    exchange.abort = () => {
      clearTimeout(timer);
      resolve();
    };
  });
  exchange.waitedMs += ms;
}

function giveUp(course: Course, response: ServerResponse): void {
  const { exchange, last, passedOver } = course;
  if (exchange.gone && last === undefined) throw new GatewayError('client_gone');
  if (response.headersSent) return endTruthfully(exchange, last!.error, response);
  if (last === undefined) throw soonest(passedOver) ?? noTarget(course);
  if (exchange.relayable?.error === last.error) sendRefusal(exchange, response);
  else throw spent(exchange, last.error);
}

/** Nobody goes on with what the client has: it is told in its stream that the rest is missing. */
function endTruthfully(exchange: Exchange, error: GatewayError, response: ServerResponse): void {
  noteFailure(exchange, error, 'upstream_incomplete');
  exchange.status = 200;
  response.end(exchange.surface.errors.event(exchange.cut ?? error, exchange.request.id));
}

/** Of several targets without room, the one that has some first; what never has comes last. */
function soonest(passedOver: readonly GatewayError[]): GatewayError | undefined {
  const seconds = ({ details }: GatewayError): number => details.retryAfterS ?? Number.MAX_SAFE_INTEGER;
  return passedOver.toSorted((a, b) => seconds(a) - seconds(b))[0];
}

/** What we have tried again already, clients need not: their attempts would multiply ours. */
function spent({ attempts }: Exchange, error: GatewayError): GatewayError {
  if (attempts.length < 2) return error;
  return new GatewayError(error.code, {
    cause: error.cause,
    details: { ...error.details, message: error.message, shouldRetry: false },
  });
}

const NEVER = new Set(['grants', 'tags', 'region']);

function noTarget({ exchange: { plane, resolved, askedModel }, leg }: Course): GatewayError {
  const explanation = leg.planner.explain(leg.request, leg.excluded, plane.nowMs());
  const obstacle = obstacleOf(explanation);
  const because = explanation.candidates.flatMap(
    ({ verdicts }) => verdicts.find(({ filter }) => filter === obstacle)?.because ?? [],
  )[0];
  const model = askedModel ?? resolved!.name;
  const nor = resolved!.name === model ? '' : ', nor of those it falls back to,';
  const why = because === undefined ? '' : `. What stands in the way is ${obstacle}: ${because}`;
  return new GatewayError('no_target', {
    details: {
      message: `No target of the model \`${model}\`${nor} can take this request${why}`,
      model,
      ...(obstacle !== undefined && NEVER.has(obstacle) && { shouldRetry: false }),
    },
  });
}
