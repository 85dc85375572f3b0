/**
 * How an agent is looked at: its card first, with the agent's own credential, since that is what every A2A agent serves to a GET; its URL where there is none, or another
 * place where the operator says so. Over the way out of everything, without redirects.
 */
import { GatewayError } from '../core/errors.ts';
import { type AgentConfig, readsCard } from '../core/agent.ts';
import type { JSONWebKeySet } from 'jose';

import { type AgentCardFacts, readCard } from './card.ts';
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
}) => Promise<{ status: number; body: Buffer }>;

export interface ProbeParts {
  get: Get;
  nowMs: () => number;
}

const MAX_CARD_BYTES = 256 * 1024;
/** Only the head matters where no card is looked for. */
const NO_BODY = 0;
const WELL_KNOWN = ['/.well-known/agent-card.json', '/.well-known/agent.json'];
const ACCEPT = { accept: 'application/json, application/a2a+json;q=0.9, */*;q=0.5' };

type Answer = ({ status: number; body: Buffer } | { error: GatewayError }) & { latencyMs: number };
type Ask = (url: string, maxBytes: number) => Promise<Answer>;

export function createProbe(parts: ProbeParts): Probe {
  return async (target) => {
    const { config, url } = target;
    const ask = asking(parts, config);
    const { url: instead, mode } = config.health;
    if (mode === 'off') return { verdict: 'unverified', ...(await cardBeside(parts, target)) };
    if (instead !== undefined || mode === 'url') {
      const place = instead ?? url;
      const trusted = isOwnPlace(config, place) ? ask : asking(parts, { ...config, headers: {} });
      const [answer, beside] = await Promise.all([trusted(place, NO_BODY), cardBeside(parts, target)]);
      return { ...verdictOf(answer, config), ...beside };
    }
    const byCard = await lookForCard(parts, ask, target);
    if (byCard !== undefined) return byCard;
    return mode === 'card' ? { verdict: 'unverified' } : verdictOf(await ask(url, NO_BODY), config);
  };
}

/** Where something else tells how the agent is, the card tells only where calls go. */
async function cardBeside(parts: ProbeParts, target: ProbeTarget): Promise<Pick<ProbeResult, 'card'>> {
  const { config } = target;
  const card = readsCard(config) ? (await lookForCard(parts, asking(parts, config), target))?.card : undefined;
  return card === undefined ? {} : { card };
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
  return async (url, maxBytes) => {
    const startedMs = nowMs();
    const timeoutMs = Math.max(1, endsAtMs - startedMs);
    try {
      const answer = await get({ url, headers: { ...ACCEPT, ...config.headers }, timeoutMs, maxBytes, config });
      return { ...answer, latencyMs: nowMs() - startedMs };
    } catch (thrown) {
      const error = thrown instanceof GatewayError ? thrown : new GatewayError('internal', { cause: thrown });
      return { error, latencyMs: nowMs() - startedMs };
    }
  };
}

/** Undefined: there is none, and something answered. */
async function lookForCard(parts: ProbeParts, ask: Ask, { config, url, card }: ProbeTarget): Promise<ProbeResult | undefined> {
  for (const at of cardPlaces(config, url, card)) {
    const answer = await ask(at, MAX_CARD_BYTES);
    if (endsSearch(answer, card)) return verdictOf(answer, config);
    const read = 'body' in answer && answer.status < 300 ? readCard(answer.body) : undefined;
    if (read?.ok !== true) continue;
    const signature = await signatureOf(parts, read.card, config);
    return { ...verdictOf(answer, config), card: { url: at, facts: read.card, fetchedAtMs: parts.nowMs(), signature } };
  }
  return undefined;
}

/** Nobody answers; or, where its card was a moment ago, an error is about the agent. */
function endsSearch(answer: Answer, known: KnownCard | undefined): boolean {
  return 'error' in answer ? !isAnswer(answer.error) : answer.status >= 500 && known !== undefined;
}

/** By the operator's keys only; key sets are asked for without the agent's credential. */
function signatureOf({ get }: ProbeParts, { raw, signed }: AgentCardFacts, config: AgentConfig): Promise<KnownCard['signature']> {
  if (!signed) return Promise.resolve('none');
  const { timeoutMs } = config.health;
  const jwksOf = async (url: string): Promise<JSONWebKeySet> => {
    const { body } = await get({ url, headers: ACCEPT, timeoutMs, maxBytes: MAX_CARD_BYTES, config });
    return JSON.parse(body.toString('utf8')) as JSONWebKeySet;
  };
  return verifyCard(raw, { urls: config.cardKeys, jwksOf });
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

function verdictOf(answer: Answer, { health }: AgentConfig): ProbeResult {
  const { latencyMs } = answer;
  const status =
    'error' in answer ? (isAnswer(answer.error) ? (answer.error.details.upstreamStatus ?? 200) : undefined) : answer.status;
  if (status === undefined) return { verdict: 'unreachable' };
  if (status >= 500) return { verdict: 'failing', latencyMs };
  if (status === 404 || status === 405) return { verdict: 'unverified', latencyMs };
  if (status >= 300) return { verdict: 'refused', latencyMs };
  return { verdict: latencyMs >= health.slowMs ? 'slow' : 'ok', latencyMs };
}
