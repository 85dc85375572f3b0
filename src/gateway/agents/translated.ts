/** Calls to an agent that speaks another version, or over another binding, than the caller. */
import { toGatewayError } from '../../core/errors.ts';
import { ProtocolError } from '../../agents/a2a/protocol.ts';
import { objectOf } from '../../agents/a2a/read.ts';
import { eventToRest, paramsFromRest, resultToRest } from '../../agents/a2a/rest03.ts';
import type { ClientCall, TranslatedAnswer, Upstream } from '../../agents/a2a/translate.ts';
import { rewriteCard } from '../../agents/card-rewrite.ts';
import type { FetchInit } from '../../upstream/fetch.ts';
import { createStreamFetch } from '../../upstream/stream-fetch.ts';
import type { Answering } from './answer.ts';
import type { AgentCall } from './call.ts';
import { agentBase, pushesFor } from './card-route.ts';
import { isRaw } from './interfaces.ts';
import { Undelivered, refusalOf } from './reach.ts';
import { type Relaying, askRaw, readWhole } from './relay.ts';
import { deliverResult, sendResult } from './reply.ts';

export async function translateWhole({ exchange, response, side, work }: Answering, relaying: Relaying): Promise<void> {
  const answer = await side.translator.translate(clientCall(work.call), upstreamOf(relaying));
  if (!('result' in answer)) throw new ProtocolError(-32006, 'The agent answered with a stream');
  work.answered = true;
  await relaying.learn(answer.result);
  relaying.finish();
  await deliverResult(exchange, response, work.call, inForm(work.call, answer.result));
}

/** Where the translation sends what it makes: by the same way, with the same books. */
export function upstreamOf({ work, reach, headers }: Relaying): Upstream {
  const { 'content-type': _, accept: __, ...ours } = headers;
  let failure: Error | undefined;
  const send = createStreamFetch({
    dispatch: (request) => reach({ ...request, headers: { ...request.headers, ...ours } }),
    onFailure: (error, undelivered) => {
      failure = undelivered === true ? new Undelivered(toGatewayError(error)) : error;
    },
  });
  const fetch = async (url: string, init?: FetchInit): Promise<Response> => {
    failure = undefined;
    const response = await send(url, init);
    if (response.status >= 400 && !isProtocols(response)) {
      failure = refusalOf({ status: response.status, headers: Object.fromEntries(response.headers) }, work.view.name);
    }
    return response;
  };
  return { agent: work.view.name, interface: work.upstream!, fetch: fetch as Upstream['fetch'], failure: () => failure };
}

/** Not the agent's own word: locks on its door, and proxies before it. */
const FOREIGN = new Set([401, 403, 429, 502, 503, 504]);

function isProtocols({ status, headers }: Response): boolean {
  return !FOREIGN.has(status) && /^application\/([\w.+-]*\+)?json/i.test(headers.get('content-type') ?? '');
}

/** What the client asks, as JSON-RPC of its version has it; REST of 1.0 has the same JSON already. */
export function clientCall({ form, version, operation, params, rest }: AgentCall): ClientCall {
  if (form === 'rpc' || version === '1.0' || rest === undefined) return { version, operation, params };
  return { version, operation, params: paramsFromRest(operation, objectOf(rest.body) ?? {}, params) };
}

/** A result in the form in which the client asked. */
export function inForm({ form, version, operation }: AgentCall, result: unknown): unknown {
  return form === 'rest' && version === '0.3' ? resultToRest(operation, result) : result;
}

/** The same of an event. */
export function eventInForm({ form, version }: AgentCall, event: unknown): unknown {
  return form === 'rest' && version === '0.3' ? eventToRest(event) : event;
}

/** What an answer to the call holds, as the client gets it. */
export function toForm(call: AgentCall, told: unknown): unknown {
  return call.streams ? eventInForm(call, told) : inForm(call, told);
}

/** The rest behind what was taken from it already. */
export async function* startingWith(
  first: IteratorResult<unknown, void>,
  rest: AsyncGenerator<unknown, void, undefined>,
): AsyncGenerator<unknown, void, undefined> {
  if (first.done === true) return;
  yield first.value;
  yield* rest;
}

/** What the agent shows to those it knows, with our places and our security in it, as its public card. */
export async function answerExtendedCard(answering: Answering, relaying: Relaying): Promise<void> {
  const { exchange, response, side, work } = answering;
  const { call, view, upstream } = work;
  const told = isRaw(call, upstream!)
    ? (await readWhole(relaying, await askRaw(relaying))).result
    : resultOf(await side.translator.translate(clientCall(call), upstreamOf(relaying)));
  const card = objectOf(told);
  if (card === undefined) throw new ProtocolError(-32006, 'The extended card of the agent is none');
  work.answered = true;
  relaying.finish();
  const served = rewriteCard(card, {
    baseUrl: agentBase(exchange, view.name),
    version: call.version === '1.0' ? '1.0' : 'hybrid',
    capabilities: { pushNotifications: pushesFor(exchange, view), streaming: view.streaming },
  });
  sendResult(exchange, response, call, served);
}

function resultOf(answer: TranslatedAnswer): unknown {
  return 'result' in answer ? answer.result : undefined;
}
