/** What goes to an agent beside its own headers: the protocol's, the operator's choice of the caller's, and where the call has come through. */
import type { Exchange } from '../exchange.ts';
import { headersToMain } from './behind.ts';
import type { AgentCall, AgentWork } from './call.ts';

/** The caller's key never goes on, but to main, where the agent is a model: whatever the operator lets through, names that carry one are not among them. */
export function headersTo(exchange: Exchange, work: AgentWork, baggage: string): Record<string, string> {
  const { request, stream } = exchange;
  const { call, view, upstream } = work;
  const version = upstream?.version ?? call.version;
  const extensions = request.headers['a2a-extensions'] ?? request.headers['x-a2a-extensions'];
  const sent: Record<string, string> = {
    ...(view.config.model !== undefined && headersToMain(exchange, work)),
    accept: stream ? 'text/event-stream' : 'application/json, application/a2a+json',
    'a2a-version': version,
    baggage,
    ...contentType(call),
  };
  if (typeof extensions === 'string') sent[version === '0.3' ? 'x-a2a-extensions' : 'a2a-extensions'] = extensions;
  for (const name of view.config.forwardHeaders) {
    const value = request.headers[name];
    if (typeof value === 'string') sent[name] = value;
  }
  return sent;
}

function contentType({ bytes, form, version }: AgentCall): Record<string, string> {
  if (bytes === undefined || bytes.length === 0) return {};
  return { 'content-type': form === 'rest' && version === '1.0' ? 'application/a2a+json' : 'application/json' };
}
