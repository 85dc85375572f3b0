/** What the registry counts. */
import type { AgentState } from '../core/agent.ts';
import type { NanoUsd } from '../core/money.ts';
import { type AgentEntry, stateOf } from './entry.ts';

/** The seed's nine figures; states are counted raw. */
export interface RegistryStats {
  totalAgents: number;
  enabledAgents: number;
  healthyAgents: number;
  degradedAgents: number;
  unhealthyAgents: number;
  disabledAgents: number;
  unknownAgents: number;
  totalInvocations: number;
  totalCostNanoUsd: NanoUsd;
}

export function statsOf(entries: Iterable<AgentEntry>): RegistryStats {
  const states: Record<AgentState, number> = { unknown: 0, healthy: 0, degraded: 0, unhealthy: 0, disabled: 0 };
  let [totalAgents, enabledAgents, totalInvocations, totalCostNanoUsd] = [0, 0, 0, 0];
  for (const entry of entries) {
    states[stateOf(entry).state] += 1;
    totalAgents += 1;
    if (entry.config.enabled) enabledAgents += 1;
    totalInvocations += entry.invocationCount;
    totalCostNanoUsd += entry.totalCostNanoUsd;
  }
  return {
    totalAgents,
    enabledAgents,
    healthyAgents: states.healthy,
    degradedAgents: states.degraded,
    unhealthyAgents: states.unhealthy,
    disabledAgents: states.disabled,
    unknownAgents: states.unknown,
    totalInvocations,
    totalCostNanoUsd,
  };
}
