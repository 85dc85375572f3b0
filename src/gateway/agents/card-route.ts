/** The card of an agent as its callers see it: with our places and our security, made from what the agent itself shows. */
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';

import { rewriteCard } from '../../agents/card-rewrite.ts';
import type { AgentView } from '../../core/agent.ts';
import { sendJson } from '../../http/reply.ts';
import type { Exchange } from '../exchange.ts';
import { exchangeHeaders } from '../reply-headers.ts';
import { statedVersion } from './call.ts';
import { pushProblem } from './requirements.ts';

const MAX_AGE_S = 60;

/** Under the operator's `public_url`, never under what a request calls us. */
export function agentBase({ line }: Exchange, agent: string): string {
  const { publicUrl, host, port, tls } = line.snapshot.server;
  const own = `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return `${(publicUrl ?? own).replace(/\/+$/, '')}/a2a/${encodeURIComponent(agent)}`;
}

/** Whether callers can be told of the agent's tasks. */
export function pushesFor({ line }: Exchange, view: AgentView): boolean {
  return pushProblem(view, line.snapshot.server.publicUrl) === undefined;
}

export function sendCard(exchange: Exchange, response: ServerResponse, view: AgentView): void {
  const version = statedVersion(exchange.request) ?? 'hybrid';
  const card = rewriteCard(view.card ?? cardOf(view), {
    baseUrl: agentBase(exchange, view.name),
    version,
    capabilities: { pushNotifications: pushesFor(exchange, view), streaming: view.streaming },
  });
  const body = JSON.stringify(card);
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`;
  const headers = {
    ...exchangeHeaders(exchange),
    'cache-control': `private, max-age=${MAX_AGE_S}`,
    etag,
    vary: 'A2A-Version, Authorization',
  };
  const isKnown = (exchange.request.headers['if-none-match'] ?? '').split(',').some((each) => each.trim() === etag);
  exchange.status = isKnown ? 304 : 200;
  if (isKnown) response.writeHead(304, headers).end();
  else sendJson(response, 200, headers, body);
}

/** What can be said of an agent that shows no card. */
function cardOf({ name, config, streaming }: AgentView): Record<string, unknown> {
  const { description = `The agent ${name}`, capabilities, tags } = config;
  return {
    protocolVersion: '0.3.0',
    name,
    description,
    version: '0',
    url: config.url,
    preferredTransport: 'JSONRPC',
    capabilities: { streaming, pushNotifications: capabilities.pushNotifications },
    defaultInputModes: capabilities.inputTypes.length > 0 ? capabilities.inputTypes : ['text/plain'],
    defaultOutputModes: capabilities.outputTypes.length > 0 ? capabilities.outputTypes : ['text/plain'],
    skills: [{ id: name, name, description, tags }],
  };
}
