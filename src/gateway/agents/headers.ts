/** What goes to an agent beside its own headers: the protocol's, the operator's choice of the caller's, and where the call has come through. */
import type { Exchange } from '../exchange.ts';
import type { AgentWork } from './call.ts';

/** The caller's key never goes on: whatever the operator lets through, names that carry one are not among them. */
export function headersTo(
  { request, stream }: Exchange,
  { call, view, upstream }: AgentWork,
  baggage: string,
): Record<string, string> {
  const { headers } = request;
  const sent: Record<string, string> = {
    accept: stream ? 'text/event-stream' : 'application/json, application/a2a+json',
    'a2a-version': upstream?.version ?? call.version,
    baggage,
  };
  if (call.bytes !== undefined && call.bytes.length > 0) {
    sent['content-type'] = call.form === 'rest' && call.version === '1.0' ? 'application/a2a+json' : 'application/json';
  }
  const extensions = headers['a2a-extensions'] ?? headers['x-a2a-extensions'];
  if (typeof extensions === 'string') sent[upstream?.version === '0.3' ? 'x-a2a-extensions' : 'a2a-extensions'] = extensions;
  for (const name of view.config.forwardHeaders) {
    const value = headers[name];
    if (typeof value === 'string') sent[name] = value;
  }
  return sent;
}
