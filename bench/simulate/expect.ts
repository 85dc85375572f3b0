/** What a scenario promises, held against what a run showed. */
import type { StrategyName } from '../../src/core/routing.ts';
import type { Figures } from './measure.ts';
import type { Scenario } from './scenario.ts';

const READ: Readonly<Record<string, { figure: keyof Figures; sign: 1 | -1 }>> = {
  success_min: { figure: 'success', sign: -1 },
  latency_vs_oracle_max: { figure: 'latencyVsOracle', sign: 1 },
  cost_vs_oracle_max: { figure: 'costVsOracle', sign: 1 },
  settled_after_s_max: { figure: 'settledAfterS', sign: 1 },
  probes_per_period_max: { figure: 'probesPerPeriod', sign: 1 },
  retry_share_max: { figure: 'retryShare', sign: 1 },
  healthy_excluded_max: { figure: 'healthyExcluded', sign: 1 },
};

/** Each promise that was not kept, in words; none: all were. */
export function brokenPromises({ name, expect, expect_of }: Scenario, strategy: StrategyName, figures: Figures): string[] {
  const promises = Object.entries<number>({ ...expect, ...expect_of?.[strategy] } as Record<string, number>);
  return promises.flatMap(([promise, bound]) => {
    const read = READ[promise];
    if (read === undefined) return [`${name}: there is no promise \`${promise}\``];
    const value = figures[read.figure];
    return read.sign * value <= read.sign * bound
      ? []
      : [`${name}, ${strategy}: ${promise} is ${bound}, and it was ${value.toPrecision(5)}`];
  });
}
