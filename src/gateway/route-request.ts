import type { RouteRequest } from '../routing/request.ts';
import type { ClientBody } from './body.ts';
import type { Exchange } from './exchange.ts';

export function routeRequestOf(_exchange: Exchange, body: ClientBody): RouteRequest {
  return {
    inputTokens: body.bytes.length / 4,
    outputTokens: 500,
    needs: { tools: false, vision: false, jsonSchema: false },
    tags: [],
  };
}

export function deadlineAtMs({ atMs, resolved }: Exchange): number {
  return atMs + resolved!.model.routing.deadlineMs;
}
