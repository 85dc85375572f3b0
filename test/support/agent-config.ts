import type { AgentConfig } from '../../src/core/agent.ts';

/** An agent with the product's defaults. */
export function agentConfig(name: string, url = 'https://example.com/agent', more: Partial<AgentConfig> = {}): AgentConfig {
  return {
    name,
    provider: 'a2a',
    url,
    protocol: 'auto',
    binding: 'auto',
    replicas: [{ id: '0', url, weight: 1, drain: false }],
    headers: {},
    forwardHeaders: [],
    timeoutMs: 60_000,
    idleTimeoutMs: 300_000,
    enabled: true,
    capabilities: {
      streaming: false,
      pushNotifications: false,
      taskCancellation: false,
      multiTurn: true,
      fileAttachments: false,
      inputTypes: [],
      outputTypes: [],
    },
    refuses: {},
    tags: [],
    taskScope: 'principal',
    failOpen: false,
    allowOrigins: [],
    cardKeys: [],
    health: { mode: 'auto', intervalMs: 30_000, timeoutMs: 10_000, slowMs: 5_000, unhealthyThreshold: 1, healthyThreshold: 1 },
    ...more,
  };
}
