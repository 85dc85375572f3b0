/** What may change of an agent without making it another one. */
import type { AgentConfig } from '../core/agent.ts';
import type { AgentCardFacts } from './card.ts';

/** Only words have changed: what is known of its health and its card still holds. */
export function isSamePlace(before: AgentConfig, after: AgentConfig): boolean {
  const place = ({ url, cardUrl, protocol, binding, replicas, headers, allowOrigins, health }: AgentConfig): string =>
    JSON.stringify([
      url,
      cardUrl,
      protocol,
      binding,
      replicas.map(({ id, url: at }) => [id, at]),
      headers,
      allowOrigins,
      health.mode,
      health.url,
    ]);
  return place(before) === place(after);
}

/** Another card may take the place of a known one by itself only if it leads to the same places under the same security. */
export function mayReplace(known: AgentCardFacts, found: AgentCardFacts): boolean {
  return known.hash === found.hash || known.trustHash === found.trustHash;
}
