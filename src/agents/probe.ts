/**
 * How an agent is looked at: its card first, with the agent's own credential, since that is what every A2A agent serves to a GET; its URL where there is none, or another
 * place where the operator says so. Over the way out of everything, without redirects.
 */
import { GatewayError } from '../core/errors.ts';
import { type AgentConfig, readsCard } from '../core/agent.ts';
import type { JSONWebKeySet } from 'jose';

import { type AgentCardFacts, MAX_CARD_BYTES, type ReadCard, readCard, tooLarge } from './card.ts';
import { verifyCard } from './card-signature.ts';
import type { KnownCard } from './entry.ts';
import type { Probe, ProbeResult, ProbeTarget } from './registry.ts';

/** One GET. Rejects with a GatewayError where no whole answer came. */
export type Get = (request: {
  url: string;
  headers: Readonly<Record<string, string>>;
  timeoutMs: number;
  maxBytes: number;
  config: Pick<AgentConfig, 'outside' | 'socketPath' | 'model'>;
}) => Promise<GetAnswer>;

export interface GetAnswer {
  status: number;
  /** `cut`: there was more than `maxBytes`, and nothing is here. */
  body: Buffer;
  cut?: true;
}

export interface ProbeParts {
  get: Get;
  nowMs: () => number;
}

/** Only the head matters where no card is looked for. */
const NO_BODY = 0;
const WELL_KNOWN = ['/.well-known/agent-card.json', '/.well-known/agent.json'];
const ACCEPT = { accept: 'application/json, application/a2a+json;q=0.9, */*;q=0.5' };

type Answer = (GetAnswer | { error: GatewayError }) & { latencyMs: number };
/** `whom`: a stranger is told no secret. */
type Ask = (url: string, maxBytes: number, whom?: 'stranger') => Promise<Answer>;

export function createProbe(parts: ProbeParts): Probe {
  return async (target) => {
    const { config, url } = target;
    const ask = asking(parts, config);
    const { url: instead, mode } = config.health;
    if (mode === 'off') return { verdict: 'unverified', ...(await cardBeside(parts, ask, target)) };
    if (instead !== undefined || mode === 'url') {
      const place = instead ?? url;
      const whom = isOwnPlace(config, place) ? undefined : 'stranger';
      const [answer, beside] = await Promise.all([ask(place, NO_BODY, whom), cardBeside(parts, ask, target)]);
      return { ...verdictOf(answer, config), ...beside };
    }
    const { found, ...looked } = await lookForCard(parts, ask, target);
    if (found !== undefined) return found;
    return mode === 'card' ? { verdict: 'unverified', ...looked } : { ...verdictOf(await ask(url, NO_BODY), config), ...looked };
  };
}

/** Where something else tells how the agent is, the card tells only where calls go. */
async function cardBeside(parts: ProbeParts, ask: Ask, target: ProbeTarget): Promise<Pick<ProbeResult, 'card' | 'cardProblem'>> {
  const { config } = target;
  if (!readsCard(config)) return {};
  const { found, ...looked } = await lookForCard(parts, ask, target);
  return found?.card === undefined ? looked : { card: found.card };
}

/** Where its credential goes anyhow; what watches over it elsewhere is told no secret. */
function isOwnPlace({ url, cardUrl, replicas, allowOrigins }: AgentConfig, place: string): boolean {
  const { origin } = new URL(place);
  const own = [url, cardUrl, ...replicas.map((each) => each.url), ...allowOrigins];
  return own.some((each) => each !== undefined && new URL(each).origin === origin);
}

/** All that is asked shares the agent's time for a probe. */
function asking({ get, nowMs }: ProbeParts, config: AgentConfig): Ask {
  const endsAtMs = nowMs() + config.health.timeoutMs;
  return async (url, maxBytes, whom) => {
    const startedMs = nowMs();
    const timeoutMs = Math.max(1, endsAtMs - startedMs);
    try {
      const headers = whom === 'stranger' ? ACCEPT : { ...ACCEPT, ...config.headers };
      const answer = await get({ url, headers, timeoutMs, maxBytes, config });
      return { ...answer, latencyMs: nowMs() - startedMs };
    } catch (thrown) {
      const error = thrown instanceof GatewayError ? thrown : new GatewayError('internal', { cause: thrown });
      return { error, latencyMs: nowMs() - startedMs };
    }
  };
}

/** `found` undefined: there is none that can be used, and something answered. */
async function lookForCard(
  parts: ProbeParts,
  ask: Ask,
  { config, url, card }: ProbeTarget,
): Promise<Pick<ProbeResult, 'cardProblem'> & { found?: ProbeResult }> {
  let cardProblem: string | undefined;
  for (const at of cardPlaces(config, url, card)) {
    const answer = await ask(at, MAX_CARD_BYTES);
    if (endsSearch(answer, card)) return { found: verdictOf(answer, config) };
    const read = readAnswer(answer);
    if (read?.ok === false) cardProblem ??= read.problem;
    if (read?.ok !== true) continue;
    const signature = await signatureOf(ask, read.card, config);
    const known = { url: at, facts: read.card, fetchedAtMs: parts.nowMs(), signature };
    return { found: { ...verdictOf(answer, config), card: known } };
  }
  return cardProblem === undefined ? {} : { cardProblem };
}

/** Undefined: nothing stands there. */
function readAnswer(answer: Answer): ReadCard | undefined {
  if (!('body' in answer) || answer.status >= 300) return undefined;
  return answer.cut === true ? tooLarge() : readCard(answer.body);
}

/** Nobody answers; or, where its card was a moment ago, an error is about the agent. */
function endsSearch(answer: Answer, known: KnownCard | undefined): boolean {
  return 'error' in answer ? !isAnswer(answer.error) : answer.status >= 500 && known !== undefined;
}

/** By the operator's keys only; key sets are asked for without the agent's credential. */
function signatureOf(ask: Ask, { raw, signed }: AgentCardFacts, { cardKeys }: AgentConfig): Promise<KnownCard['signature']> {
  if (!signed) return Promise.resolve('none');
  const jwksOf = async (url: string): Promise<JSONWebKeySet> => {
    const answer = await ask(url, MAX_CARD_BYTES, 'stranger');
    if ('error' in answer) throw answer.error;
    return JSON.parse(answer.body.toString('utf8')) as JSONWebKeySet;
  };
  return verifyCard(raw, { urls: cardKeys, jwksOf });
}

/** In the order they are looked at. Of replicas each has its own. */
function cardPlaces({ cardUrl, replicas }: AgentConfig, url: string, card: KnownCard | undefined): string[] {
  const base = url.replace(/[?#].*$/, '').replace(/\/+$/, '');
  const { origin } = new URL(url);
  const told = cardUrl === undefined ? [] : [replicas.length > 1 ? atOrigin(cardUrl, origin) : cardUrl];
  if (told.length > 0) return told;
  const known = card === undefined ? [] : [atOrigin(card.url, origin)];
  const usual = [base, origin].flatMap((at) => WELL_KNOWN.map((path) => at + path));
  return [...new Set([...known, ...usual])];
}

function atOrigin(url: string, origin: string): string {
  const { pathname, search } = new URL(url);
  return origin + pathname + search;
}

/** Something answered, if only what we do not follow or cannot read. */
function isAnswer({ code }: GatewayError): boolean {
  return code === 'upstream_bad_response' || code === 'upstream_incomplete';
}

/** It took the connection. */
function isLate(answer: Answer): boolean {
  return 'error' in answer && answer.error.code === 'upstream_timeout';
}

function verdictOf(answer: Answer, { health }: AgentConfig): ProbeResult {
  const { latencyMs } = answer;
  const status =
    'error' in answer ? (isAnswer(answer.error) ? (answer.error.details.upstreamStatus ?? 200) : undefined) : answer.status;
  if (status === undefined) return { verdict: isLate(answer) ? 'silent' : 'unreachable' };
  if (status >= 500) return { verdict: 'failing', latencyMs };
  if (status === 404 || status === 405) return { verdict: 'unverified', latencyMs };
  if (status >= 300) return { verdict: 'refused', latencyMs };
  return { verdict: latencyMs >= health.slowMs ? 'slow' : 'ok', latencyMs };
}
