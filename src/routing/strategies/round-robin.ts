import type { Strategy } from './strategy.ts';

/**
 * The one not chosen for the longest time. Other than a counter modulo the number of candidates, this stays fair when some are excluded (the
 * one behind them would serve their turns too), and when requests of several kinds, each with candidates of its own, come by turns.
 */
export const ROUND_ROBIN: Strategy = {
  unit: 'turn',
  pick: (tier, { rota, passes }) => rota.first(tier, passes),
  score: (index, { rota }) => rota.turnOf(index),
};
