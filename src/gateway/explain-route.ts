/** `POST /admin/v1/route/explain`: where a request would go, and why; nothing is sent, counted or set aside. A worker answers, since only workers plan. */
import type { ServerResponse } from 'node:http';

import type { Caller } from '../core/directory.ts';
import { GatewayError } from '../core/errors.ts';
import { isObject } from '../core/read.ts';
import type { Route } from '../http/edge.ts';
import { sendJson } from '../http/reply.ts';
import { presentsAdminKey } from '../policy/authenticate.ts';
import type { Candidate } from '../routing/candidate.ts';
import type { ExplainedCandidate, Explanation } from '../routing/explain.ts';
import type { ResolvedModel } from '../routing/resolve.ts';
import { type ClientBody, readClientBody } from './body.ts';
import { endUserOf } from './end-user.ts';
import type { Exchange } from './exchange.ts';
import type { Plane } from './plane.ts';
import { routeRequestOf } from './route-request.ts';
import { CHAT, EMBEDDINGS, MESSAGES, RESPONSES, type Surface } from './surface.ts';

const SURFACES: Readonly<Record<string, Surface>> = {
  chat: CHAT,
  messages: MESSAGES,
  responses: RESPONSES,
  embeddings: EMBEDDINGS,
};

export function explainRoute(plane: Plane): Route {
  return {
    method: 'POST',
    path: '/admin/v1/route/explain',
    policy: { access: 'control', body: 'json', errors: 'openai' },
    handle: async (request, response) => {
      if (!presentsAdminKey(plane.line().snapshot, request.headers))
        throw new GatewayError('invalid_key', { details: { message: ADMIN_ONLY } });
      answer(plane, readAsked(await request.body()), { id: request.id, response });
    },
  };
}

const ADMIN_ONLY = 'Only the admin key explains routes';

interface Asked {
  surface: Surface;
  /** The request to be explained. */
  body: ClientBody;
  /** Lower case names. */
  headers: Record<string, string>;
  key?: string;
}

/** Throws invalid_json, invalid_request. */
function readAsked(bytes: Buffer): Asked {
  const asked = parsed(bytes);
  const { body, headers = {}, key } = asked;
  const unknown = Object.keys(asked).find((name) => !MEMBERS.has(name));
  if (unknown !== undefined) throw wrong(unknown, `is not known; there are ${[...MEMBERS].join(', ')}`);
  const surface = surfaceOf(asked['surface']);
  if (!isObject(body)) throw wrong('body', 'must be the request to explain, an object');
  if (!isObject(headers) || !Object.values(headers).every((value) => typeof value === 'string'))
    throw wrong('headers', 'must be an object of texts');
  if (key !== undefined && typeof key !== 'string')
    throw wrong('key', 'must be the id of a key; that of one in the file is its name');
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value as string] as const);
  return {
    surface,
    body: readClientBody(Buffer.from(JSON.stringify(body))),
    headers: Object.fromEntries(lower),
    ...(key !== undefined && { key }),
  };
}

const MEMBERS = new Set(['surface', 'body', 'headers', 'key']);

function surfaceOf(name: unknown = 'chat'): Surface {
  if (typeof name === 'string' && Object.hasOwn(SURFACES, name)) return SURFACES[name]!;
  throw wrong('surface', `must be ${Object.keys(SURFACES).join(', ')}`);
}

function parsed(bytes: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    if (isObject(value)) return value;
  } catch {
    // Told below, like everything that is no object.
  }
  throw new GatewayError('invalid_json', { details: { message: 'The request body must be a JSON object' } });
}

function wrong(param: string, message: string): GatewayError {
  return new GatewayError('invalid_request', { details: { param, message: `\`${param}\` ${message}` } });
}

function answer(plane: Plane, asked: Asked, { id, response }: { id: string; response: ServerResponse }): void {
  const line = plane.line();
  const caller = callerOf(plane, asked.key);
  const resolved = line.resolve(asked.body.model, caller);
  const { routing } = resolved.model;
  const names = Object.values(routing.fallbacks).flat();
  sendJson(
    response,
    200,
    { 'x-request-id': id },
    {
      model: resolved.name,
      configured_as: resolved.model.name,
      retries: routing.retries,
      deadline_ms: routing.deadlineMs,
      sticky_by: routing.sticky,
      breaker: {
        failures: routing.breaker.failures,
        failure_share: routing.breaker.failureShare,
        window_s: routing.breaker.windowMs / 1000,
        open_s: routing.breaker.openMs / 1000,
      },
      fallbacks: routing.fallbacks,
      ...explained(plane, { asked, caller, resolved }),
      plans_of_fallbacks: [...new Set(names)].map((model) =>
        Object.assign({ model }, explained(plane, { asked, caller, resolved: line.resolveFallback(model) })),
      ),
    },
  );
}

/** Without a key: somebody who may use everything. */
const ANYBODY: Caller = {
  key: { id: 'anybody', name: 'anybody', digests: [], models: ['*'], agents: [], tags: [], blocked: false },
  ancestors: [],
  scopes: [],
  rules: [],
};

function callerOf(plane: Plane, key: string | undefined): Caller {
  if (key === undefined) return ANYBODY;
  const caller = plane.line().callerOfKey(key, plane.nowMs());
  if (caller === undefined) throw wrong('key', 'names no key that could be used now');
  return caller;
}

interface Planned {
  asked: Asked;
  caller: Caller;
  resolved: ResolvedModel;
}

function explained(plane: Plane, { asked, caller, resolved }: Planned): Record<string, unknown> {
  const line = plane.line();
  const served = line.servedOn(asked.surface, resolved);
  const planner = line.plannerOf(served);
  const exchange = {
    plane,
    line,
    caller,
    surface: asked.surface,
    stream: asked.body.stream,
    request: { headers: asked.headers },
    resolved: served,
  } as unknown as Exchange;
  exchange.endUser = endUserOf(exchange, asked.body);
  const request = routeRequestOf(exchange, asked.body, planner.pool);
  const nowMs = plane.nowMs();
  const explanation = planner.explain(request, [], nowMs);
  const candidates = new Map(planner.pool.candidates.map((candidate) => [candidate.id, candidate]));
  return {
    ...wire(explanation),
    request: {
      input_tokens: request.inputTokens,
      output_tokens: Math.round(request.outputTokens),
      needs: Object.entries(request.needs)
        .filter(([, needed]) => needed)
        .map(([need]) => need),
      tags: request.tags,
      region: request.region ?? null,
    },
    candidates: explanation.candidates.map((each) => candidateOf(plane, each, candidates.get(each.id)!)),
  };
}

function candidateOf({ targets, nowMs }: Plane, each: ExplainedCandidate, { place, target }: Candidate): Record<string, unknown> {
  const openUntilMs = targets.openUntilMs(place);
  return {
    target: each.id,
    provider: target.provider,
    rank: each.rank ?? null,
    order: each.order,
    weight: each.weight,
    score: each.score ?? null,
    cost_usd: each.costNanoUsd === undefined ? null : each.costNanoUsd / 1e9,
    breaker: targets.breaker(place, nowMs()),
    open_until: openUntilMs === 0 ? null : new Date(openUntilMs).toISOString(),
    in_flight: targets.inFlight(place),
    timeouts: {
      connect_ms: target.timeouts.connectMs,
      first_byte_ms: target.timeouts.firstByteMs,
      idle_ms: target.timeouts.idleMs,
      total_ms: target.timeouts.totalMs,
    },
    excluded_by: each.verdicts.flatMap(({ filter, passes, because }) => (passes ? [] : [{ filter, because }])),
  };
}

function wire({ strategy, unit, sticky, pinned, leavingNanoUsd }: Explanation): Record<string, unknown> {
  return {
    strategy,
    score_unit: unit,
    sticky,
    pinned: pinned ?? null,
    leaving_costs_usd: leavingNanoUsd === undefined ? null : leavingNanoUsd / 1e9,
  };
}
