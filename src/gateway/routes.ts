import { anthropicMessages } from '../dialects/anthropic-messages/dialect.ts';
import type { ErrorDialect } from '../dialects/dialect.ts';
import { openaiChat } from '../dialects/openai-chat/dialect.ts';
import { responsesErrors } from '../dialects/openai-responses/error.ts';
import type { Route, RoutePolicy } from '../http/edge.ts';
import { A2A } from './surface.ts';
import { agentModels } from './agents/model-bridge.ts';
import { agentRoutes } from './agents/routes.ts';
import { controlRoutes } from './control-relay.ts';
import { exchangeRoute } from './exchange-line.ts';
import { explainRoute } from './explain-route.ts';
import { type Readiness, healthRoutes } from './health.ts';
import { modelRoutes } from './models.ts';
import type { Plane } from './plane.ts';
import { CHAT, COUNT_TOKENS, EMBEDDINGS, MESSAGES, RESPONSES } from './surface.ts';

export interface RouteParts {
  readiness: Readiness;
  controlSocketPath: string;
}

/** Every public path with its policy: the one table. */
export function routeTable(plane: Plane, { readiness, controlSocketPath }: RouteParts): Route[] {
  return [
    ...healthRoutes(readiness),
    ...modelRoutes(plane.line, plane.nowMs, (caller) => agentModels(plane.agents, caller, Math.floor(plane.nowMs() / 1000))),
    ...[CHAT, MESSAGES, COUNT_TOKENS, RESPONSES, EMBEDDINGS].map((surface) => exchangeRoute(plane, surface)),
    explainRoute(plane),
    ...agentRoutes(plane, plane.agents),
    ...controlRoutes(plane, controlSocketPath),
  ];
}

/** Who says no in whose words. Paths of no dialect answer in OpenAI's shape, which most clients can read. */
const ERROR_DIALECTS: Record<RoutePolicy['errors'], ErrorDialect> = {
  openai: openaiChat.error,
  'openai-responses': responsesErrors,
  anthropic: anthropicMessages.error,
  a2a: A2A.errors,
  plain: openaiChat.error,
};

export function errorBody(kind: RoutePolicy['errors']): ErrorDialect['encode'] {
  return ERROR_DIALECTS[kind].encode;
}
