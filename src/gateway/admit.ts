/**
 * An exchange before its limits: the caller's, before the body is read; the model's, the end user's and everybody's tokens, once the body is known; a target's, for
 * each attempt. What was taken ends in `endAdmission`.
 */
import type { PricedTarget } from '../config/snapshot.ts';
import type { Caller } from '../core/directory.ts';
import { rulesOfAgent } from '../core/agent.ts';
import { GatewayError, toGatewayError } from '../core/errors.ts';
import type { Rules } from '../core/rules.ts';
import { tellsTokens } from '../core/usage.ts';
import { readNumber } from '../lib/json-scan.ts';
import { priorityOf } from '../policy/caller.ts';
import { demandsOf } from '../policy/demands.ts';
import type { Acquired, Demand, Grant } from '../policy/limiter.ts';
import { type CallHistory, chargedTokens, expectedTokens, learnTokens } from '../policy/token-history.ts';
import type { ResolvedModel } from '../routing/resolve.ts';
import type { ClientBody } from './body.ts';
import { endUserOf, endUserRules } from './end-user.ts';
import type { Exchange } from './exchange.ts';
import type { Plane } from './plane.ts';

/** What the limits gave an exchange. */
export interface Admission {
  /** The caller's and the model's. */
  grants: Grant[];
  /** Of the attempt under way, or of the last one, with its number. */
  target?: { grant: Grant; attempt: number } | undefined;
  /** What stood in the way. */
  refused?: Refused;
  /** Tokens, as far as anybody has asked. */
  expectedTokens?: number;
  ended?: true;
  /** Whom the tokens taught. */
  history?: CallHistory;
}

type Refused = Extract<Acquired, { ok: false }>;

/** Requests and calls at once of all that stands behind the key. Throws rate_limited. */
export function admitCaller(exchange: Exchange): void | Promise<void> {
  return admit(exchange, demandsOf(exchange.caller!.rules, counted(exchange)));
}

/** A chat behind an agent was counted with the call to it, whose lease has come back. */
function counted({ behind }: Exchange): { call: true } | { lease: true } {
  return behind === undefined ? { call: true } : { lease: true };
}

/** Requests of a caller who only reads what the control plane knows; that is over at once. Throws rate_limited. */
export async function admitReader(plane: Plane, caller: Caller): Promise<void> {
  const acquired = await plane.limiter.acquire(demandsOf(caller.rules, { call: true, lease: false }));
  if (!acquired.ok) throw refusalOf(plane, acquired);
}

/** An agent's own limits, over all its callers, and the end user's. Throws rate_limited, store_down. */
export async function admitAgent(exchange: Exchange, rules: readonly Rules[]): Promise<void> {
  const found = await endUserRules(exchange);
  if (found !== undefined) exchange.endUserRules = [found];
  const { endUserRules: others = [] } = exchange;
  return admit(exchange, [
    ...demandsOf(rules, { call: true, keptBack: keptBack(exchange) }),
    ...demandsOf(others, { call: true }),
  ]);
}

/** The model's and the end user's limits, and everybody's tokens. Throws rate_limited, store_down. */
export function admitModel(exchange: Exchange, body: ClientBody): void | Promise<void> {
  exchange.endUser = exchange.behind === undefined ? endUserOf(exchange, body) : exchange.behind.endUser;
  const rules = endUserRules(exchange);
  const go = (found: Rules | undefined): void | Promise<void> => {
    if (found !== undefined) exchange.endUserRules = [found];
    return admitKnown(exchange, body);
  };
  return rules instanceof Promise ? rules.then(go) : go(rules);
}

function admitKnown(exchange: Exchange, body: ClientBody): void | Promise<void> {
  const { behind, caller, endUserRules = [], line, resolved } = exchange;
  const models = line.modelRules(resolved!);
  const tokens = tokensFor(exchange, body, [...caller!.rules, ...endUserRules, ...models]);
  return admit(exchange, [
    ...demandsOf(models, { call: true, tokens, keptBack: keptBack(exchange) }),
    ...demandsOf(caller!.rules, { tokens }),
    ...demandsOf(endUserRules, { ...counted(exchange), tokens }),
    ...demandsOf(behind === undefined ? [] : rulesOfAgent(behind.view), { lease: true, keptBack: keptBack(exchange) }),
  ]);
}

/**
 * A target's and its provider's limits. Undefined: the attempt may go; else why not, and another target may be tried. What an attempt before had of its target must
 * have ended.
 */
export function admitTarget(
  exchange: Exchange,
  body: ClientBody,
  target: PricedTarget,
): GatewayError | undefined | Promise<GatewayError | undefined> {
  const rules = exchange.line.targetRules(target);
  const tokens = tokensFor(exchange, body, rules);
  const demands = demandsOf(rules, { call: true, tokens, keptBack: keptBack(exchange) });
  if (demands.length === 0) return undefined;
  const take = (acquired: Acquired): GatewayError | undefined => {
    if (!acquired.ok) return refusalBy(exchange, acquired);
    admissionOf(exchange).target = { grant: acquired.grant, attempt: exchange.attempts.length };
    return undefined;
  };
  const acquired = exchange.plane.limiter.acquire(demands);
  return acquired instanceof Promise ? acquired.then(take) : take(acquired);
}

/** What an attempt that failed had of its target's limits comes back: all of it where provably nobody was asked, else its lease, and tokens as they were used. */
export function endTarget(exchange: Exchange, { undelivered }: { undelivered: boolean }): void {
  const { admission, plane } = exchange;
  if (admission?.target === undefined) return;
  const grants = [admission.target.grant];
  if (undelivered) plane.limiter.refund(grants);
  else plane.limiter.settle(grants, tokensOf(exchange));
  admission.target = undefined;
}

/** The limits of a model that takes over. Undefined: it may; else why not. */
export async function admitFallback(
  exchange: Exchange,
  body: ClientBody,
  resolved: ResolvedModel,
): Promise<GatewayError | undefined> {
  const models = exchange.line.modelRules(resolved);
  const tokens = tokensFor(exchange, body, models);
  try {
    await admit(exchange, demandsOf(models, { call: true, tokens, keptBack: keptBack(exchange) }));
    return undefined;
  } catch (thrown) {
    return toGatewayError(thrown);
  }
}

/** A stream is about to pass its last event on: what the client sends next, to whichever worker, must find its lease free. */
export function releaseLeases({ admission, plane }: Exchange): void {
  if (admission === undefined) return;
  const { grants, target } = admission;
  plane.limiter.release(target === undefined ? grants : [...grants, target.grant]);
}

/** The end, once: leases come back, tokens become what was charged. What no upstream ever saw counts nowhere. Whole answers call it before they are sent. */
export function endAdmission(exchange: Exchange): void {
  const { admission, attempts, outcome, plane, usage, estimated } = exchange;
  if (admission === undefined || admission.ended === true) return;
  admission.ended = true;
  const { grants, target } = admission;
  // Something of ours refused it after its target had let it in.
  if (target !== undefined && attempts.length === target.attempt) endTarget(exchange, { undelivered: true });
  if (attempts.length === 0 && outcome !== 'ok') plane.limiter.refund(grants);
  else plane.limiter.settle(admission.target === undefined ? grants : [...grants, admission.target.grant], tokensOf(exchange));
  if (admission.history !== undefined && usage !== undefined && tellsTokens(usage) && estimated !== true) {
    learnTokens(admission.history, exchange.requestBytes, usage);
  }
}

function admit(exchange: Exchange, demands: readonly Demand[]): void | Promise<void> {
  if (demands.length === 0) return undefined;
  const take = (acquired: Acquired): void => {
    if (!acquired.ok) throw refusalBy(exchange, acquired);
    admissionOf(exchange).grants.push(acquired.grant);
  };
  const acquired = exchange.plane.limiter.acquire(demands);
  return acquired instanceof Promise ? acquired.then(take) : take(acquired);
}

function admissionOf(exchange: Exchange): Admission {
  exchange.admission ??= { grants: [] };
  return exchange.admission;
}

/** What the exchange will probably be charged; undefined where no rule asks, or where nothing will be. */
function tokensFor(exchange: Exchange, body: ClientBody, rules: readonly Rules[]): number | undefined {
  const { surface, caller, resolved, plane } = exchange;
  if (surface.name === 'count_tokens' || !rules.some(({ tokens }) => tokens !== undefined)) return undefined;
  const admission = admissionOf(exchange);
  admission.history ??= plane.historyOf(caller!.key.id, resolved!.name);
  admission.expectedTokens ??= expectedTokens(admission.history, {
    requestBytes: body.bytes.length,
    maxOutputTokens: outputCap(body),
    answers: surface.name !== 'embeddings',
  });
  return admission.expectedTokens;
}

const CAPS = ['max_completion_tokens', 'max_tokens', 'max_output_tokens'];

function outputCap({ bytes, scan }: ClientBody): number | undefined {
  const [cap] = CAPS.flatMap((name) => readNumber(bytes, scan.members.get(name)) ?? []);
  return cap === undefined ? undefined : cap * Math.max(1, readNumber(bytes, scan.members.get('n')) ?? 1);
}

/** What was charged, as the provider counted; undefined: nobody knows, and the estimate stays. */
function tokensOf({ usage, attempts }: Exchange): number | undefined {
  if (usage !== undefined && tellsTokens(usage)) return chargedTokens(usage);
  const { status, error } = attempts.at(-1) ?? {};
  const nothing = status === undefined ? error === 'upstream_unreachable' : status >= 400;
  return attempts.length === 0 || nothing ? 0 : undefined;
}

function keptBack({ caller, line }: Exchange): number {
  return line.snapshot.keptBack[priorityOf(caller!)];
}

const MEANING: Record<Demand['what'], (most: number) => string> = {
  requests: (most) => `${countOf(most, 'request')} in any 60 s`,
  tokens: (most) => `${countOf(most, 'token')} in any 60 s`,
  concurrent: (most) => `${countOf(most, 'request')} at once`,
};
function countOf(most: number, thing: string): string {
  return `${most} ${thing}${most === 1 ? '' : 's'}`;
}

/** A client that cannot be told when may ask again after this. */
const NEVER_RETRY_S = 60;

function refusalBy(exchange: Exchange, acquired: Refused): GatewayError {
  admissionOf(exchange).refused = acquired;
  return refusalOf(exchange.plane, acquired);
}

function refusalOf(plane: Plane, { refused, refusal }: Refused): GatewayError {
  const { scope, what, most } = refused;
  const { retryAfterMs } = refusal;
  plane.raise('limit.exceeded', scope, { limit: what, most });
  const never = retryAfterMs === Infinity;
  const retryAfterS = never ? NEVER_RETRY_S : Math.max(1, Math.ceil(retryAfterMs / 1000));
  const [kind, id] = [scope.slice(0, scope.indexOf(':')), scope.slice(scope.indexOf(':') + 1)];
  const when = never ? 'Nothing is allowed' : `Try again in ${retryAfterS} s`;
  const message = `The limit of ${kind.replace('_', ' ')} \`${id}\` is reached: ${MEANING[what](most)}. ${when}`;
  return new GatewayError('rate_limited', {
    details: { message, scope, retryAfterS, ...(never && { shouldRetry: false }) },
  });
}
