/** What may change of an agent without making it another one. */
import type { AgentConfig } from '../core/agent.ts';
import { trustAt } from './card.ts';
import type { AgentEntry, KnownCard } from './entry.ts';

/** But for where its replicas are, only words have changed: what is known of those that are where they were still holds. */
export function isLookedAtAlike(before: AgentConfig, after: AgentConfig): boolean {
  const ways = ({ cardUrl, protocol, binding, headers, allowOrigins, health: { mode, url } }: AgentConfig): string =>
    JSON.stringify([cardUrl, protocol, binding, headers, allowOrigins, mode, url]);
  return ways(before) === ways(after);
}

/** Of replicas that are where they were; and the card, if there are any. */
export function keepWhatIsKnown(before: AgentEntry, entry: AgentEntry): void {
  let isKnown = false;
  for (const [id, replica] of entry.replicas) {
    const known = before.replicas.get(id);
    if (known?.config.url !== replica.config.url) continue;
    replica.health = known.health;
    isKnown = true;
  }
  if (!isKnown) return;
  if (before.card !== undefined) entry.card = before.card;
  if (before.pendingCard !== undefined) entry.pendingCard = before.pendingCard;
}

/** Another card may take the place of a known one by itself only if it leads to the same places under the same security. Each replica's leads to its own. */
export function mayReplace(known: KnownCard, found: KnownCard): boolean {
  const isSame = known.facts.hash === found.facts.hash || known.facts.trustHash === found.facts.trustHash;
  return isSame || trustAt(known.facts, known.url) === trustAt(found.facts, found.url);
}
