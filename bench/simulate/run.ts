/** One run: requests come, are planned by the product's own parts, and are answered by simulated providers, under a virtual clock. */
import type { Rules } from '../../src/core/rules.ts';
import type { StrategyName } from '../../src/core/routing.ts';
import { demandsOf } from '../../src/policy/demands.ts';
import type { Acquired, Grant } from '../../src/policy/limiter.ts';
import type { Candidate } from '../../src/routing/candidate.ts';
import { FAILURES, type FailureKind } from '../../src/routing/failure.ts';
import type { RouteRequest } from '../../src/routing/request.ts';
import { countsAsRetry, mayComeBack, mayGoOn, waitMs } from '../../src/routing/retry.ts';
import { createChance } from './chance.ts';
import { type Clock, createClock } from './clock.ts';
import { type Arrival, type Figures, type Measure, createMeasure } from './measure.ts';
import { type Simulated, type SimulatedModel, assemble } from './models.ts';
import type { Scenario } from './scenario.ts';

interface Run {
  scenario: Scenario;
  clock: Clock;
  uniform: () => number;
  simulated: Simulated;
  measure: Measure;
}

/** The course of one request, as `src/gateway/course.ts` has it. */
interface Course {
  arrival: Arrival;
  arrivedMs: number;
  request: RouteRequest;
  at: number;
  leg: Leg;
  attempts: number;
}

interface Leg {
  model: SimulatedModel;
  excluded: Candidate[];
  failures: { candidate: Candidate; kind: FailureKind; retryAfterMs: number; undelivered: boolean }[];
  retries: number;
  returns: number;
}

const START_MS = 1_795_000_000_000;

export function simulate(scenario: Scenario, strategy: StrategyName): Figures {
  const clock = createClock(START_MS);
  const chance = createChance(scenario.seed);
  const simulated = assemble(scenario, strategy, { clock, chance });
  const measure = createMeasure(scenario, simulated, START_MS);
  const run: Run = { scenario, clock, uniform: chance.uniform, simulated, measure };
  const endMs = START_MS + scenario.duration_s * 1000;
  const rateAt = (nowMs: number): number => {
    const { rate, to_rate = rate, period_s } = scenario;
    return rate + ((to_rate - rate) * (1 - Math.cos((2 * Math.PI * (nowMs - START_MS)) / 1000 / period_s))) / 2;
  };
  const arrive = (): void => {
    begin(run, {
      input: Math.max(1, Math.round(chance.logNormal(scenario.input_tokens, scenario.input_tokens * 4))),
      output: Math.max(1, Math.round(chance.logNormal(scenario.output_tokens, scenario.output_tokens * 4))),
    });
    const next = clock.now() + chance.exponential(rateAt(clock.now())) * 1000;
    if (next < endMs) clock.at(next, arrive);
  };
  const look = (): void => {
    measure.look(clock.now());
    if (clock.now() + 1000 < endMs) clock.at(clock.now() + 1000, look);
  };
  clock.at(START_MS, arrive);
  clock.at(START_MS + 1000, look);
  clock.run();
  return measure.figures();
}

function begin(run: Run, tokens: { input: number; output: number }): void {
  const arrivedMs = run.clock.now();
  const request: RouteRequest = {
    inputTokens: tokens.input,
    outputTokens: tokens.output,
    needs: { tools: false, vision: false, jsonSchema: false },
    tags: [],
  };
  const arrival = run.measure.arrived(arrivedMs, tokens);
  attempt(run, { arrival, arrivedMs, request, at: 0, leg: beginLeg(run, 0), attempts: 0 });
}

function beginLeg({ simulated, clock }: Run, at: number): Leg {
  const model = simulated.models[at]!;
  simulated.retries.requested(model.place, clock.now());
  return { model, excluded: [], failures: [], retries: 0, returns: 0 };
}

function attempt(run: Run, course: Course): void {
  const chosen = choose(run, course);
  if (chosen === undefined) return giveUpOrWait(run, course);
  const { simulated, clock, measure } = run;
  const { candidate, probe, grant } = chosen;
  const { place } = candidate;
  const sentMs = clock.now();
  course.attempts += 1;
  if (probe) measure.probeSent(place);
  const live = simulated.states.began(place, sentMs);
  const upstream = simulated.upstreams[place]!;
  const answer = upstream.answer(sentMs, course.request.outputTokens);
  const end = (seen: Parameters<typeof simulated.states.ended>[1]): void => {
    upstream.release();
    if (grant !== undefined) simulated.limiter.settle([grant]);
    if (probe) measure.probeEnded(place);
    simulated.states.ended(live, seen, simulated.breaker);
  };
  if (!answer.ok) {
    clock.at(sentMs + answer.afterMs, () => {
      const { kind, retryAfterMs, undelivered } = answer;
      const { outcome } = FAILURES[kind];
      end({ outcome, atMs: clock.now(), probe, ...(retryAfterMs !== undefined && { retryAfterMs }) });
      failed(run, course, { candidate, kind, retryAfterMs: retryAfterMs ?? 0, undelivered });
    });
    return;
  }
  clock.at(sentMs + answer.firstMs, () => simulated.states.answered(live, clock.now()));
  clock.at(sentMs + answer.totalMs, () => {
    const { outputTokens } = course.request;
    end({
      outcome: 'ok',
      atMs: clock.now(),
      probe,
      firstContentMs: answer.firstMs,
      streamedMs: answer.totalMs - answer.firstMs,
      outputTokens,
    });
    const { input, output } = upstream.priceAt(sentMs);
    const costUsd = (input * course.request.inputTokens + output * outputTokens) / 1e6;
    measure.ended(course.arrival, { ok: true, latencyMs: clock.now() - course.arrivedMs, costUsd, attempts: course.attempts });
  });
}

interface Chosen {
  candidate: Candidate;
  probe: boolean;
  grant?: Grant;
}

function choose(run: Run, course: Course): Chosen | undefined {
  for (;;) {
    const chosen = pick(run, course);
    if (chosen === undefined) {
      if (!fallBack(run, course)) return undefined;
      continue;
    }
    const rules = run.simulated.rules[chosen.candidate.place];
    if (rules === undefined) return chosen;
    const acquired = acquire(run, rules);
    if (acquired.ok) return { ...chosen, grant: acquired.grant };
    course.leg.excluded.push(chosen.candidate);
  }
}

function acquire({ simulated }: Run, rules: Rules): Acquired {
  const acquired = simulated.limiter.acquire(demandsOf([rules], { call: true }));
  if (acquired instanceof Promise) throw new Error('the limiter of one process answers at once');
  return acquired;
}

function pick({ simulated, clock }: Run, course: Course): Chosen | undefined {
  const { states, breaker } = simulated;
  const { leg, request } = course;
  const nowMs = clock.now();
  const busy: Candidate[] = [];
  request.fallbackLeft = course.at + 1 < simulated.models.length;
  for (;;) {
    const candidate = leg.model.planner.pick(request, busy.length === 0 ? leg.excluded : [...leg.excluded, ...busy], nowMs);
    if (candidate === undefined) {
      const [first] = busy;
      return first === undefined || request.fallbackLeft ? undefined : { candidate: first, probe: false };
    }
    if (states.breaker(candidate.place, nowMs) !== 'probing') return { candidate, probe: false };
    if (states.claimProbe(candidate.place, nowMs, breaker)) return { candidate, probe: true };
    busy.push(candidate);
  }
}

function failed(run: Run, course: Course, failure: Leg['failures'][number]): void {
  const { leg } = course;
  if (!mayGoOn(failure.kind)) return end(run, course);
  leg.failures.push(failure);
  leg.excluded.push(failure.candidate);
  if (!countsAsRetry(failure.kind, failure.undelivered) || takeRetry(run, leg) || fallBack(run, course))
    return attempt(run, course);
  end(run, course);
}

function takeRetry({ scenario, simulated }: Run, leg: Leg): boolean {
  if (leg.retries >= scenario.retries || !simulated.retries.takeRetry(leg.model.place)) return false;
  leg.retries += 1;
  return true;
}

function fallBack(run: Run, course: Course): boolean {
  if (course.at + 1 >= run.simulated.models.length) return false;
  course.at += 1;
  course.leg = beginLeg(run, course.at);
  return true;
}

function giveUpOrWait(run: Run, course: Course): void {
  const { leg } = course;
  if (leg.returns >= run.scenario.retries) return end(run, course);
  const waits = leg.failures.flatMap((failure) => {
    const ms = mayComeBack(failure.kind) ? waitMs(failure, leg.returns + 1, run.uniform()) : undefined;
    return ms === undefined ? [] : [{ failure, ms }];
  });
  const [soonest] = waits.toSorted((a, b) => a.ms - b.ms);
  if (soonest === undefined) return end(run, course);
  const { failure, ms } = soonest;
  if (!countsAsRetry(failure.kind, failure.undelivered) && !run.simulated.retries.takeRetry(leg.model.place))
    return end(run, course);
  leg.returns += 1;
  leg.excluded = leg.excluded.filter((each) => each !== failure.candidate);
  leg.failures = leg.failures.filter((each) => each !== failure);
  run.clock.at(run.clock.now() + ms, () => attempt(run, course));
}

function end({ measure, clock }: Run, { arrival, arrivedMs, attempts }: Course): void {
  measure.ended(arrival, { ok: false, latencyMs: clock.now() - arrivedMs, costUsd: 0, attempts });
}
