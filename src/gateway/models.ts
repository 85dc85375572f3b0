import type { ServerResponse } from 'node:http';

import type { Model } from '../config/snapshot.ts';
import type { Caller } from '../core/directory.ts';
import { GatewayError, toGatewayError } from '../core/errors.ts';
import type { Rate } from '../core/price.ts';
import { anthropicMessages } from '../dialects/anthropic-messages/dialect.ts';
import type { EdgeRequest, Route } from '../http/edge.ts';
import { sendJson } from '../http/reply.ts';
import type { Line } from './line.ts';

/**
 * `GET /v1/models` and `GET /v1/models/{id}`, in the shape of whoever asks: Anthropic's SDKs send `anthropic-version`, OpenAI's do not.
 * Both carry, beyond their schema, what a developer chooses by: context window, capabilities and prices.
 */
export function modelRoutes(line: () => Line, nowMs: () => number, agentsOf: AgentsOf): Route[] {
  const policy = { access: 'key', body: 'none', errors: 'openai' } as const;
  return [
    {
      method: 'GET',
      path: '/v1/models',
      policy,
      handle: (request, response) =>
        inItsWords(request, response, () => listModels({ line: line(), nowMs: nowMs(), agentsOf }, request, response)),
    },
    {
      method: 'GET',
      path: '/v1/models/{id}',
      policy,
      handle: (request, response) =>
        inItsWords(request, response, () => showModel({ line: line(), nowMs: nowMs(), agentsOf }, request, response)),
    },
  ];
}

/** Agents that a caller may use as models. */
export type AgentsOf = (caller: Caller) => Model[];

interface Asked {
  line: Line;
  nowMs: number;
  agentsOf: AgentsOf;
}

/** The route's errors are OpenAI's; who asks as Anthropic is refused as Anthropic would, and finds the request's id where its SDK looks. */
async function inItsWords(request: EdgeRequest, response: ServerResponse, answer: () => Promise<void>): Promise<void> {
  if (asksAsAnthropic(request)) response.setHeader('request-id', request.id);
  try {
    await answer();
  } catch (thrown) {
    if (!asksAsAnthropic(request)) throw thrown;
    const error = toGatewayError(thrown);
    sendJson(response, error.status, { 'x-request-id': request.id }, anthropicMessages.error.encode(error, request.id));
  }
}

async function listModels({ line, nowMs, agentsOf }: Asked, request: EdgeRequest, response: ServerResponse): Promise<void> {
  const caller = await line.authenticate(request.headers, nowMs, request.clientIp);
  const models = [...line.modelsOf(caller), ...agentsOf(caller)];
  if (!asksAsAnthropic(request)) return sendJson(response, 200, {}, { object: 'list', data: models.map(openAiModel) });
  const { page, hasMore } = anthropicPage(models, new URLSearchParams(request.query));
  sendJson(
    response,
    200,
    {},
    {
      data: page.map(anthropicModel),
      has_more: hasMore,
      first_id: page.at(0)?.name ?? null,
      last_id: page.at(-1)?.name ?? null,
    },
  );
}

async function showModel({ line, nowMs, agentsOf }: Asked, request: EdgeRequest, response: ServerResponse): Promise<void> {
  const caller = await line.authenticate(request.headers, nowMs, request.clientIp);
  const name = request.params['id'] ?? '';
  const agent = agentsOf(caller).find((each) => each.name === name);
  const found = agent === undefined ? line.resolve(name, caller) : { model: agent, name };
  const shown = { ...found.model, name: found.name };
  sendJson(response, 200, {}, asksAsAnthropic(request) ? anthropicModel(shown) : openAiModel(shown));
}

function asksAsAnthropic(request: EdgeRequest): boolean {
  return request.headers['anthropic-version'] !== undefined;
}

function openAiModel(model: Model): Record<string, unknown> {
  return { id: model.name, object: 'model', created: model.createdS, owned_by: ownerOf(model), ...factsOf(model) };
}

function anthropicModel(model: Model): Record<string, unknown> {
  const createdAt = new Date(model.createdS * 1000).toISOString();
  return { type: 'model', id: model.name, display_name: model.name, created_at: createdAt, ...factsOf(model) };
}

function ownerOf(model: Model): string {
  return model.targets[0]?.provider ?? 'signalbox';
}

/** Members beyond either schema; absent where unknown, never null or 0. */
function factsOf(model: Model): Record<string, unknown> {
  return {
    ...(model.contextWindow === undefined ? {} : { context_window: model.contextWindow }),
    ...(model.maxOutputTokens === undefined ? {} : { max_output_tokens: model.maxOutputTokens }),
    ...(model.capabilities === undefined ? {} : { capabilities: model.capabilities }),
    ...pricingOf(model),
  };
}

/** The dearest target's list price: what a request may cost at most. */
function pricingOf(model: Model): Record<string, unknown> {
  const prices = model.targets.flatMap(({ priceState }) => (priceState.status === 'priced' ? [priceState.price] : []));
  const free = model.targets.some(({ priceState }) => priceState.status === 'free');
  if (prices.length === 0) return free ? { pricing: { input_usd_per_mtok: 0, output_usd_per_mtok: 0 } } : {};
  const dearest = prices.reduce((a, b) => (b.input.picoUsd + b.output.picoUsd > a.input.picoUsd + a.output.picoUsd ? b : a));
  return { pricing: { input_usd_per_mtok: usdPerMtok(dearest.input), output_usd_per_mtok: usdPerMtok(dearest.output) } };
}

function usdPerMtok(rate: Rate): number {
  return rate.picoUsd / 1e6;
}

const ANTHROPIC_PAGE = { default: 20, most: 1000 };

/** Anthropic's cursor paging: `limit`, `after_id`, `before_id`. Throws invalid_request on a limit outside 1–1000. */
function anthropicPage(models: Model[], query: URLSearchParams): { page: Model[]; hasMore: boolean } {
  const limit = query.has('limit') ? Number(query.get('limit')) : ANTHROPIC_PAGE.default;
  if (!Number.isInteger(limit) || limit < 1 || limit > ANTHROPIC_PAGE.most) {
    throw new GatewayError('invalid_request', {
      details: { message: 'limit must be a whole number from 1 to 1000', param: 'limit' },
    });
  }
  const before = models.findIndex((model) => model.name === query.get('before_id'));
  if (before >= 0) return { page: models.slice(Math.max(0, before - limit), before), hasMore: before > limit };
  const start = models.findIndex((model) => model.name === query.get('after_id')) + 1;
  return { page: models.slice(start, start + limit), hasMore: start + limit < models.length };
}
