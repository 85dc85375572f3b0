import type { Pool, Tier } from './candidate.ts';

/** Whose turn it is: the candidates of each tier in a ring, the one not chosen for the longest time first. */
export interface Rota {
  /** The first in turn that passes; -1: none does. Changes nothing. */
  first: (tier: Tier, passes: (index: number) => boolean) => number;
  /** It was chosen: all others of its tier come before it. */
  served: (index: number) => void;
  /** The turn in which it was last chosen; 0: never. */
  turnOf: (index: number) => number;
}

/** At first in random order, so that workers do not go round in step. */
export function createRota({ candidates, tiers }: Pool, random: () => number): Rota {
  const size = candidates.length;
  const turns = new Float64Array(size);
  // A ring's joint stands behind the candidates, at the place of its tier.
  const next = new Int32Array(size + tiers.length);
  const previous = new Int32Array(size + tiers.length);
  const jointOf = new Int32Array(size);
  const jointOfTier = new Map(tiers.map((tier, position) => [tier, size + position]));
  let turn = 0;

  const link = (before: number, after: number): void => {
    next[before] = after;
    previous[after] = before;
  };
  const append = (joint: number, index: number): void => {
    link(previous[joint]!, index);
    link(index, joint);
  };
  for (const [tier, joint] of jointOfTier) {
    link(joint, joint);
    for (const index of shuffled(tier, random)) {
      jointOf[index] = joint;
      append(joint, index);
    }
  }

  return {
    first: (tier, passes) => {
      const joint = jointOfTier.get(tier)!;
      for (let index = next[joint]!; index !== joint; index = next[index]!) if (passes(index)) return index;
      return -1;
    },
    served: (index) => {
      turns[index] = ++turn;
      link(previous[index]!, next[index]!);
      append(jointOf[index]!, index);
    },
    turnOf: (index) => turns[index]!,
  };
}

function shuffled({ start, end }: Tier, random: () => number): number[] {
  return Array.from({ length: end - start }, (_, at) => ({ index: start + at, rank: random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ index }) => index);
}
