/** One request's way from its head to its handler, and the boundary where everything that a handler throws is answered. */
import type { IncomingMessage, ServerResponse } from 'node:http';

import { type GatewayError, toGatewayError } from '../core/errors.ts';
import { tooLarge } from './body.ts';
import type { Connection, Live } from './connections.ts';
import { admitOrigin } from './cors.ts';
import type { EdgeOptions, Route, RoutePolicy } from './edge.ts';
import { declaredLength, headFault, stripInternal } from './inbound.ts';
import { answerError, hasUnreadBody } from './refuse.ts';
import { InboundRequest } from './request.ts';
import { createRouter, type Mismatch } from './router.ts';
import type { EdgeState } from './state.ts';

const REQUEST_ID = /^[\w.:-]{1,128}$/;

/** What one 'request' event of Node's server brings. */
export interface Incoming {
  raw: IncomingMessage;
  response: ServerResponse;
  connection: Connection;
  live: Live;
  expectsContinue: boolean;
}

/** Answers the request or hands it to its route's handler. Never throws. */
export type Dispatch = (incoming: Incoming, state: EdgeState) => void;

export function createDispatcher(options: EdgeOptions): Dispatch {
  const router = createRouter(options.routes);

  function refuse({ raw, response, connection }: Incoming, { error, route, allow }: Mismatch, requestId: string): void {
    const body = options.errors(route?.policy.errors ?? wordsFor(raw.url))(error, requestId);
    if (!response.headersSent && hasUnreadBody(raw)) connection.closing = true;
    answerError(raw, response, { error, requestId, body, allow });
  }

  function turnAway(incoming: Incoming, refused: Mismatch, requestId: string): void {
    options.onRefused?.({ requestId, route: refused.route, error: refused.error });
    refuse(incoming, refused, requestId);
  }

  function fail(incoming: Incoming, request: InboundRequest, thrown: unknown): void {
    const error = toGatewayError(thrown);
    if (error.code === 'internal') options.onFailure({ requestId: request.id, error: thrown });
    refuse(incoming, { error, route: request.route }, request.id);
  }

  function run(incoming: Incoming, request: InboundRequest): void {
    try {
      const running = request.route.handle(request, incoming.response);
      if (running !== undefined) running.catch((thrown: unknown) => fail(incoming, request, thrown));
    } catch (thrown) {
      fail(incoming, request, thrown);
    }
  }

  return (incoming, state) => {
    const { raw, response, live } = incoming;
    const requestId = idOf(raw, options.newRequestId);
    // A write after the end is a bug of ours; it must not end the worker and everybody's streams.
    response.on('error', (error) => options.onFailure({ requestId, error }));
    const match = router.match(raw.method ?? '', raw.url ?? '');
    const preflight = admitOrigin(state.settings.cors, { raw, response, match, router });
    const declared = declaredLength(raw);
    const fault = faultOf(raw, { route: match.route, declared }, state);
    if (fault !== undefined) {
      turnAway(incoming, fault, requestId);
      return;
    }
    if (preflight !== undefined) {
      response.writeHead(204, preflight).end();
      return;
    }
    if ('error' in match) {
      turnAway(incoming, match, requestId);
      return;
    }
    stripInternal(raw);
    // Exchanges send the id among their own headers: one that is set ahead puts `writeHead` on its slow path (3 µs for ten headers).
    if (match.route.policy.body !== 'json') response.setHeader('x-request-id', requestId);
    const request = new InboundRequest(match, { ...arrivalOf(incoming, state), id: requestId, declared }, state.tools);
    live.ended = (whole) => request.end(whole);
    run(incoming, request);
  };
}

function idOf({ headers }: IncomingMessage, newRequestId: () => string): string {
  const offered = headers['x-request-id'];
  return typeof offered === 'string' && REQUEST_ID.test(offered) ? offered : newRequestId();
}

function arrivalOf({ raw, response, connection, expectsContinue }: Incoming, { clientAddress }: EdgeState) {
  const forwardedFor = raw.headers['x-forwarded-for'];
  const clientIp = clientAddress(connection.address, typeof forwardedFor === 'string' ? forwardedFor : undefined);
  return { clientIp, startedAt: performance.now(), raw, response, expectsContinue };
}

interface Known {
  route: Route | undefined;
  declared: number | undefined;
}

/** What is wrong with the request's head, in the words of its route where it has one. */
function faultOf(raw: IncomingMessage, known: Known, { hostFault, settings }: EdgeState): Mismatch | undefined {
  const { route, declared = 0 } = known;
  const error = headFault(raw) ?? hostFault(raw.headers.host, raw.httpVersion) ?? sizeFault(declared, settings.maxBodyBytes);
  if (error === undefined) return undefined;
  return route === undefined ? { error } : { error, route };
}

function sizeFault(declared: number, maxBodyBytes: number): GatewayError | undefined {
  return declared > maxBodyBytes ? tooLarge(maxBodyBytes) : undefined;
}

/** Whose words for a request without a route: those of the API that its path looks like. */
function wordsFor(target: string | undefined): RoutePolicy['errors'] {
  if (target === undefined || !target.startsWith('/v1')) return 'plain';
  return target.startsWith('/v1/messages') ? 'anthropic' : 'openai';
}
