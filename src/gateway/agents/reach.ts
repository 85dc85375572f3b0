/** One request to one replica: sent by the way out of everything, booked as an attempt, and judged for what it says of the replica. */
import type { CallVerdict, ReplicaView } from '../../core/agent.ts';
import { GatewayError } from '../../core/errors.ts';
import type { AttemptFact } from '../../core/exchange.ts';
import { formatTraceparent } from '../../lib/ids.ts';
import type { Dispatched, UpstreamAnswer, UpstreamRequest } from '../../upstream/types.ts';
import { ProtocolError } from '../../agents/a2a/protocol.ts';
import type { Exchange } from '../exchange.ts';
import { isOurRefusal, orOwnError } from './behind.ts';
import type { AgentWork } from './call.ts';
import type { AgentSide } from './side.ts';

export interface ReachRequest {
  url: string;
  method: string;
  /** Beside those of the agent, which win. */
  headers: Readonly<Record<string, string>>;
  body: Buffer | undefined;
  stream: boolean;
}

export type Reach = (request: ReachRequest) => Dispatched;

/** How a replica is asked within a call. Where nothing came back, that is noted at once. */
export function reachOf(exchange: Exchange, work: AgentWork, replica: ReplicaView, side: AgentSide): Reach {
  const { plane, trace } = exchange;
  const { view } = work;
  return ({ url, method, headers, body, stream }) => {
    const { origin, pathname, search } = new URL(url);
    const { timeoutMs, idleTimeoutMs } = view.config;
    const spanId = plane.spanId();
    const startedAt = performance.now();
    const fact: AttemptFact = {
      target: `a2a/${view.name}/${replica.id}`,
      provider: 'a2a',
      upstreamModel: view.name,
      startedAtMs: exchange.spend?.atMs ?? exchange.atMs + (startedAt - exchange.request.startedAt),
      totalMs: 0,
      spanId,
    };
    const sent = plane.send({
      endpoint: side.endpointOf(view, origin),
      method: method as UpstreamRequest['method'],
      path: pathname + search,
      headers: {
        ...headers,
        ...(plane.tracing() || exchange.trace.parentSpanId !== undefined ? traceHeaders(trace, spanId) : {}),
      },
      body,
      timeouts: { connectMs: Math.min(timeoutMs, CONNECT_MS), firstByteMs: timeoutMs, idleMs: idleTimeoutMs, totalMs: timeoutMs },
      stream,
    });
    exchange.attempts.push(fact);
    exchange.abort = () => sent.abort();
    const answer = sent.answer.then((came) => {
      const told = view.config.model === undefined ? came : orOwnError(came);
      const headersMs = performance.now() - startedAt;
      exchange.waitedMs += headersMs;
      fact.headersMs = headersMs;
      fact.totalMs = headersMs;
      if (told.failed) {
        fact.error = told.error.code;
        judge(work, replica.id, exchange, told.error);
        // What a model's limits, budgets and guards refuse nobody was asked for.
        if (!came.failed && isOurRefusal(told.error)) exchange.attempts.pop();
      } else fact.status = told.status;
      return told;
    });
    return { answer, abort: () => sent.abort() };
  };
}

const CONNECT_MS = 5_000;

function traceHeaders({ traceId, sampled, state }: Exchange['trace'], spanId: string): Record<string, string> {
  return { traceparent: formatTraceparent({ traceId, spanId, sampled }), ...(state !== undefined && { tracestate: state }) };
}

/** The head of an answer. Throws what kept it from coming. */
export async function headOf(sent: Dispatched): Promise<UpstreamAnswer> {
  const answer = await sent.answer;
  if (!answer.failed) return answer;
  throw answer.undelivered ? new Undelivered(answer.error) : answer.error;
}

/** Provably nobody was asked: another replica may be. */
export class Undelivered extends Error {
  readonly error: GatewayError;
  constructor(error: GatewayError) {
    super(error.message);
    this.error = error;
  }
}

/** What kept it from being delivered, or what else went wrong. */
export function plainly(thrown: unknown): unknown {
  return thrown instanceof Undelivered ? thrown.error : thrown;
}

/** Notes what the end of the latest attempt says of its replica, once for each attempt. A stream whose reader has left was ended by us; a whole answer was not. */
export function judge(work: AgentWork, replica: string, exchange: Exchange, thrown: unknown): void {
  if ((exchange.gone && exchange.stream) || exchange.cut !== undefined) return;
  if (work.verdicts.length >= exchange.attempts.length) return;
  const error = plainly(thrown);
  const verdict = error === undefined ? 'ok' : verdictOf(error);
  const isUnreachable = error instanceof GatewayError && error.code === 'upstream_unreachable';
  work.verdicts.push({ replica, verdict, ...(isUnreachable && { unreachable: true as const }) });
}

/** Agents that are not there, by their proxies' words. */
const AWAY = new Set([502, 503, 504]);

function verdictOf(error: unknown): CallVerdict {
  if (error instanceof ProtocolError) return error.code === -32603 || error.code === -32006 ? 'failing' : 'none';
  if (!(error instanceof GatewayError)) return 'none';
  const { code, details } = error;
  if (details.upstreamStatus !== undefined)
    return AWAY.has(details.upstreamStatus) ? 'hard' : details.upstreamStatus === 429 ? 'none' : 'failing';
  // A model none of whose targets may be tried is an agent that is not there.
  if (code === 'upstream_unreachable' || code === 'no_target') return 'hard';
  if (code === 'upstream_timeout') return 'slow';
  return code.startsWith('upstream_') ? 'failing' : 'none';
}

const MOST_RETRY_S = 86_400;

/** A status that is no answer of the protocol, in our words: an agent's 401 is about our credential, not about the caller's key. */
export function refusalOf({ status, headers }: Pick<UpstreamAnswer, 'status' | 'headers'>, agent: string): GatewayError {
  const retryAfterS = Math.min(MOST_RETRY_S, Math.ceil(Number(headers['retry-after'])));
  const details = { upstreamStatus: status, ...(retryAfterS > 0 && { retryAfterS }) };
  const say = (message: string): { details: typeof details & { message: string } } => ({ details: { ...details, message } });
  if (status === 401 || status === 403)
    return new GatewayError('upstream_auth', say(`The agent \`${agent}\` refused the credential configured for it (${status})`));
  if (status === 429)
    return new GatewayError('upstream_rate_limited', say(`The agent \`${agent}\` refused for its own rate limit`));
  if (status === 503) return new GatewayError('upstream_overloaded', say(`The agent \`${agent}\` is overloaded`));
  if (status === 504) return new GatewayError('upstream_timeout', say(`The agent \`${agent}\` did not answer in time`));
  return new GatewayError('upstream_error', say(`The agent \`${agent}\` answered ${status}`));
}
