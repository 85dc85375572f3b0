import type { ServerResponse } from 'node:http';

import { GatewayError } from '../core/errors.ts';
import type { EdgeRequest, Route } from '../http/edge.ts';
import type { ResolvedModel } from '../routing/resolve.ts';
import { serveAgentModel } from './agents/model-bridge.ts';
import { AGENT_MODEL } from './agents/model-reply.ts';
import { admitCaller, admitModel } from './admit.ts';
import { recordBodies, writeBodies } from './bodies.ts';
import { readClientBody } from './body.ts';
import { countLocally } from './count-tokens.ts';
import { answerInTurn } from './course.ts';
import { type Exchange, beginExchange, noteFailure } from './exchange.ts';
import { guardBefore, guardsOf } from './guard.ts';
import type { Plane } from './plane.ts';
import { exchangeHeaders } from './reply-headers.ts';
import { refuseWhileStoreIsBehind } from './store-behind.ts';
import { settle } from './settle.ts';
import type { Surface } from './surface.ts';

/** The route of a governed surface. */
export function exchangeRoute(plane: Plane, surface: Surface): Route {
  return {
    method: 'POST',
    path: surface.path,
    policy: { access: 'key', body: 'json', errors: surface.errorKind },
    handle: (request, response) => serveExchange(beginExchange(plane, surface, request), response),
  };
}

/** An exchange from its first byte to its fact, in one straight line. Every throw is answered by the edge in the client's dialect. */
export async function serveExchange(exchange: Exchange, response: ServerResponse): Promise<void> {
  const { request, line, plane, surface } = exchange;
  watchClient(exchange);
  try {
    const caller = line.authenticate(request.headers, plane.nowMs(), request.clientIp);
    exchange.caller = caller instanceof Promise ? await caller : caller;
    await admitCaller(exchange);
    const asked = readClientBody(await readBytes(exchange, request));
    exchange.stream = asked.stream;
    exchange.askedModel = asked.model;
    if (asked.model.startsWith(AGENT_MODEL)) return await serveAgentModel(exchange, asked, response);
    exchange.resolved = servable(resolvedFor(exchange, asked.model), exchange);
    recordBodies(exchange, asked.bytes, response);
    await admitModel(exchange, asked);
    refuseWhileStoreIsBehind(exchange);
    const guards = guardsOf(exchange, 'request');
    const body = guards.length === 0 ? asked : await guardBefore(exchange, guards, asked);
    if (exchange.resolved.targets.length === 0 && surface.name === 'count_tokens') return countLocally(exchange, body, response);
    await answerInTurn(exchange, body, response);
  } catch (thrown) {
    const error = noteFailure(exchange, thrown);
    exchange.abandon(error);
    // Only its connection could tell a caller who is over a limit from another, and new ones cost us more than his body.
    if (error.code === 'rate_limited') await request.dropBody();
    if (!response.headersSent)
      for (const [name, value] of Object.entries(exchangeHeaders(exchange))) response.setHeader(name, value!);
    throw error;
  } finally {
    writeBodies(exchange);
    settle(exchange);
  }
}

/** Whoever may call an agent may call the model that it is. */
function resolvedFor({ behind, caller, line }: Exchange, model: string): ResolvedModel {
  return behind === undefined ? line.resolve(model, caller!) : line.resolveFallback(model);
}

/** A surface without a translation is served by the targets that speak it, if any. */
function servable(resolved: ResolvedModel, { surface, line }: Exchange): ResolvedModel {
  const served = line.servedOn(surface, resolved);
  if (served.targets.length === 0 && surface.name !== 'count_tokens') throw notSpoken(surface, resolved.name);
  return served;
}

function notSpoken(surface: Surface, model: string): GatewayError {
  const message = `No provider behind the model \`${model}\` speaks ${surface.path}`;
  return new GatewayError('not_supported_here', { details: { message, param: 'model' } });
}

/** What an exchange holds beside its body (12 KB measured, 20,000 of them pipelined on one connection): without it, small bodies would count as nothing. */
const EXCHANGE_BYTES = 16 * 1024;

async function readBytes(exchange: Exchange, request: EdgeRequest): Promise<Buffer> {
  if (!request.reserve(EXCHANGE_BYTES)) throw new GatewayError('overloaded', { details: { retryAfterS: 1 } });
  const from = performance.now();
  const bytes = await request.body();
  exchange.waitedMs += performance.now() - from;
  exchange.requestBytes = bytes.length;
  return bytes;
}

function watchClient(exchange: Exchange): void {
  exchange.request.onGone(() => {
    exchange.gone = true;
    exchange.abort();
  });
}
