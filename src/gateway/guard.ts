/**
 * The seam where exchanges are judged: a request before money is set aside for it and it is sent, an answer before it is delivered. Whatever judges
 * implements `Guard`; the line knows no more of it.
 */
import { GatewayError } from '../core/errors.ts';
import type { GuardFact } from '../core/exchange.ts';
import { type ClientBody, readClientBody } from './body.ts';
import type { Exchange } from './exchange.ts';

export type GuardStage = GuardFact['stage'];

/** A whole body: JSON as the client sent it or would get it, or the text of an event stream. */
export interface Judged {
  stage: GuardStage;
  bytes: Buffer;
  form: 'json' | 'events';
  /** The stream went on beyond what is shown. */
  cut?: true;
}

export type Verdict =
  | { action: 'allow' }
  /** `message`: for the caller, as it may be shown. */
  | { action: 'block'; message?: string }
  | { action: 'replace'; bytes: Buffer };

export interface Guard {
  name: string;
  stages: readonly GuardStage[];
  appliesTo: (exchange: Exchange) => boolean;
  holdsStreams: boolean;
  onFailure: 'block' | 'allow';
  /** Rejects where it cannot tell, with words for the operator; ends by itself within its own deadline, or when the exchange is aborted. */
  judge: (exchange: Exchange, judged: Judged) => Promise<Verdict>;
}

const NONE: readonly Guard[] = [];

/** Those that judge this stage of the exchange, in their order. Costs nothing where none are configured. */
export function guardsOf(exchange: Exchange, stage: GuardStage): readonly Guard[] {
  const { guards } = exchange.line;
  if (guards.length === 0) return NONE;
  return guards.filter((guard) => guard.stages.includes(stage) && guard.appliesTo(exchange));
}

/**
 * The body that goes on: the client's, or what guards made of it, read by the same rules. Throws guard_blocked, guard_unavailable.
 * A guard changes what is asked, never what was authorised: another `model` or `stream` counts as its failure.
 */
export function guardBefore(exchange: Exchange, guards: readonly Guard[], asked: ClientBody): Promise<ClientBody> {
  return guardRead(exchange, guards, asked, (bytes) => {
    const body = readClientBody(bytes);
    if (body.model !== asked.model || body.stream !== asked.stream) throw new Error('a guard may not change `model` or `stream`');
    return body;
  });
}

/** The same of anything that is read from bytes; `read` throws where a replacement cannot be used. */
export async function guardRead<Asked extends { bytes: Buffer }>(
  exchange: Exchange,
  guards: readonly Guard[],
  asked: Asked,
  read: (bytes: Buffer) => Asked,
): Promise<Asked> {
  let body = asked;
  for (const guard of guards) {
    const judged = { stage: 'request', form: 'json', bytes: body.bytes } as const;
    body = (await consult(exchange, guard, { judged, accept: read })) ?? body;
  }
  return body;
}

/**
 * The answer that is delivered: `bytes`, or what guards made of it. Throws guard_blocked, guard_unavailable: nothing may have been sent yet, and what the answer
 * used must have been noted, since it is charged all the same.
 */
export async function guardAnswer(exchange: Exchange, bytes: Buffer, form: Judged['form'] = 'json'): Promise<Buffer> {
  // The attempt is over and went well, whatever becomes of its answer.
  exchange.abandon = () => {};
  let answer = bytes;
  for (const guard of guardsOf(exchange, 'response')) {
    const judged = { stage: 'response', form, bytes: answer } as const;
    answer = (await consult(exchange, guard, { judged, accept: (replacement) => replacement })) ?? answer;
  }
  return answer;
}

interface Consultation<Accepted> {
  judged: Judged;
  /** Throws where the replacement cannot be used. */
  accept: (replacement: Buffer) => Accepted;
}

/** Asks one guard and notes its verdict; undefined: everything stays as it is. */
async function consult<Accepted>(
  exchange: Exchange,
  guard: Guard,
  { judged, accept }: Consultation<Accepted>,
): Promise<Accepted | undefined> {
  const from = performance.now();
  let accepted: Accepted | undefined;
  let verdict: GuardFact['verdict'] = 'failed';
  try {
    const said = await guard.judge(exchange, judged);
    if (exchange.gone) throw new GatewayError('client_gone');
    if (said.action === 'replace') accepted = accept(said.bytes);
    verdict = said.action;
    if (said.action === 'block') throw blocked(said.message);
  } catch (thrown) {
    if (verdict === 'block') throw thrown;
    if (exchange.gone) throw new GatewayError('client_gone');
    if (exchange.cut !== undefined) throw exchange.cut;
    exchange.plane.raise('guard.failing', `guard:${guard.name}`, {
      guard: guard.name,
      stage: judged.stage,
      reason: reasonOf(thrown),
    });
    if (guard.onFailure === 'block') throw new GatewayError('guard_unavailable', { cause: thrown, details: { retryAfterS: 1 } });
  } finally {
    const ms = performance.now() - from;
    exchange.waitedMs += ms;
    noteVerdict(exchange, { name: guard.name, stage: judged.stage, verdict, ms });
  }
  return accepted;
}

/** What keeps an answer back says nothing of who gave it. */
export function isGuards(thrown: unknown): boolean {
  return thrown instanceof GatewayError && (thrown.code === 'guard_blocked' || thrown.code === 'guard_unavailable');
}

/** How long guards were waited for so far. */
export function guardMs({ guards = [] }: Pick<Exchange, 'guards'>): number {
  return guards.reduce((sum, { ms }) => sum + ms, 0);
}

export function noteVerdict(exchange: Exchange, verdict: GuardFact): void {
  (exchange.guards ??= []).push(verdict);
}

function blocked(message: string | undefined): GatewayError {
  return new GatewayError('guard_blocked', message === undefined ? {} : { details: { message } });
}

/** Our own words for it: what a guard or the network says belongs into no event. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof GatewayError ? thrown.code : 'unreadable';
}
