/**
 * Stickiness: requests of one key go to one candidate, without anything being remembered (highest random weight, Thaler and Ravishankar 1998). Every worker and
 * every node comes to the same choice; when a candidate goes, only its own keys move, each to another one, and they come back with it.
 */
import type { Pool, Tier } from './candidate.ts';
import { hashBytes, hashText, mix32 } from './hash.ts';
import type { Picking } from './picking.ts';

/**
 * Providers cache prompts from about 1,024 tokens on (OpenAI: "1024 tokens or more"; Anthropic: 1,024 to 4,096 by model), and text has about four bytes to
 * the token: what differs before is another prompt, and a shorter one is in nobody's cache.
 */
const PREFIX_BYTES = 4_096;

/** The key of a caller's own name for what belongs together: a conversation, a user. */
export function keyOf(scope: string, name: string): number {
  return hashText(`${scope}:${name}`);
}

/**
 * The key of a prompt by how it begins; `prompt`: tools, system text and messages as the body has them, from the first byte that counts. Undefined: too short to be
 * cached anywhere, so that it may go anywhere. Costs about 1 µs per KiB.
 */
export function prefixKey(prompt: Uint8Array, prefixBytes: number = PREFIX_BYTES): number | undefined {
  return prompt.length < prefixBytes ? undefined : hashBytes(prompt, prefixBytes);
}

/** The candidate of the tier that is nearest to the key; -1: none passes. */
export function pickSticky({ start, end }: Tier, { pool, passes }: Picking, key: number): number {
  let best = -1;
  let nearest = Infinity;
  for (let index = start; index < end; index++) {
    // -ln(x) is at least 1 - x: nearly all are too far already by that, and the logarithm, the dear part, is left out.
    if ((1 - nearness(pool, index, key)) / pool.shares[index]! > nearest) continue;
    const own = distance(pool, index, key);
    if (own >= nearest || !passes(index)) continue;
    best = index;
    nearest = own;
  }
  return best;
}

/** From a key to a candidate: a draw of its own for each pair, shorter on average the more the candidate weighs. */
export function distance(pool: Pool, index: number, key: number): number {
  return -Math.log(nearness(pool, index, key)) / pool.shares[index]!;
}

/** Above 0, at most 1; all alike. */
function nearness({ identities }: Pool, index: number, key: number): number {
  return (mix32(key ^ identities[index]!) + 1) / 2 ** 32;
}
