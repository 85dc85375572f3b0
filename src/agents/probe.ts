/**
 * How an agent is looked at: its card first, with the agent's own credential, since that is what every A2A agent serves to a GET; its URL where there is none. Over the
 * way out of everything, without redirects.
 */
import { GatewayError } from '../core/errors.ts';
import type { AgentConfig } from '../core/agent.ts';
import { readCard } from './card.ts';
import type { KnownCard } from './entry.ts';
import type { Probe, ProbeResult } from './registry.ts';

/** One GET. Rejects with a GatewayError where no whole answer came. */
export type Get = (request: {
  url: string;
  headers: Readonly<Record<string, string>>;
  timeoutMs: number;
  maxBytes: number;
  config: Pick<AgentConfig, 'outside' | 'socketPath'>;
}) => Promise<{ status: number; body: Buffer }>;

export interface ProbeParts {
  get: Get;
  nowMs: () => number;
  /** Whether the card's signatures hold; absent: nobody checks. */
  verify?: (card: Readonly<Record<string, unknown>>) => Promise<KnownCard['signature']>;
}

const MAX_CARD_BYTES = 256 * 1024;
/** Only the head matters where no card is looked for. */
const NO_BODY = 0;
const WELL_KNOWN = ['/.well-known/agent-card.json', '/.well-known/agent.json'];
const ACCEPT = { accept: 'application/json, application/a2a+json;q=0.9, */*;q=0.5' };

type Answer = { status: number; body: Buffer } | { error: GatewayError };

export function createProbe({ get, nowMs, verify }: ProbeParts): Probe {
  return async ({ config, url, card }) => {
    const endsAtMs = nowMs() + config.health.timeoutMs;
    const ask = async (at: string, maxBytes: number): Promise<Answer & { latencyMs: number }> => {
      const startedMs = nowMs();
      const timeoutMs = Math.max(1, endsAtMs - startedMs);
      try {
        const answer = await get({ url: at, headers: { ...ACCEPT, ...config.headers }, timeoutMs, maxBytes, config });
        return { ...answer, latencyMs: nowMs() - startedMs };
      } catch (thrown) {
        const error = thrown instanceof GatewayError ? thrown : new GatewayError('internal', { cause: thrown });
        return { error, latencyMs: nowMs() - startedMs };
      }
    };
    const judged = (answer: Awaited<ReturnType<typeof ask>>): ProbeResult => verdictOf(answer, config);
    if (config.health.url !== undefined) return judged(await ask(config.health.url, NO_BODY));
    if (config.health.mode === 'url') return judged(await ask(url, NO_BODY));
    for (const at of cardPlaces(config, url, card)) {
      const answer = await ask(at, MAX_CARD_BYTES);
      if ('error' in answer && !isAnswer(answer.error)) return judged(answer);
      const read = 'body' in answer && answer.status < 300 ? readCard(answer.body) : undefined;
      if (read?.ok !== true) continue;
      const signature = read.card.signed ? await (verify?.(read.card.raw) ?? 'unverified') : 'none';
      return { ...judged(answer), card: { url: at, facts: read.card, fetchedAtMs: nowMs(), signature } };
    }
    return judged(await ask(url, NO_BODY));
  };
}

/** In the order they are looked at. Of replicas each has its own. */
export function cardPlaces({ cardUrl, replicas }: AgentConfig, url: string, card: KnownCard | undefined): string[] {
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

function verdictOf(answer: Answer & { latencyMs: number }, { health }: AgentConfig): ProbeResult {
  const { latencyMs } = answer;
  const status =
    'error' in answer ? (isAnswer(answer.error) ? (answer.error.details.upstreamStatus ?? 200) : undefined) : answer.status;
  if (status === undefined) return { verdict: 'unreachable' };
  if (status >= 500) return { verdict: 'failing', latencyMs };
  if (status === 404 || status === 405) return { verdict: 'unverified', latencyMs };
  if (status >= 300) return { verdict: 'refused', latencyMs };
  return { verdict: latencyMs >= health.slowMs ? 'slow' : 'ok', latencyMs };
}
