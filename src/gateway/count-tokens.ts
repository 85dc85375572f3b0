import type { ServerResponse } from 'node:http';

import { estimateInputTokens } from '../dialects/anthropic-messages/count-tokens.ts';
import { anthropicMessages } from '../dialects/anthropic-messages/dialect.ts';
import { sendJson } from '../http/reply.ts';
import { endAdmission } from './admit.ts';
import { type ClientBody, parsedBody } from './body.ts';
import type { Exchange } from './exchange.ts';
import { exchangeHeaders } from './reply-headers.ts';

/** Answers `count_tokens` with our own estimate, saying so, where no provider of the model counts. Throws invalid_request. */
export function countLocally(exchange: Exchange, body: ClientBody, response: ServerResponse): void {
  // max_tokens is not part of this call, but of every message.
  const request = anthropicMessages.request.decode({ max_tokens: 1, ...parsedBody(body) }, {});
  exchange.warnings.push({ param: 'input_tokens', reason: 'estimated, since no provider of this model counts tokens' });
  exchange.outcome = 'ok';
  exchange.status = 200;
  endAdmission(exchange);
  sendJson(response, 200, exchangeHeaders(exchange), { input_tokens: estimateInputTokens(request) });
}
