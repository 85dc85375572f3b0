/** The seed's own tests, name by name: what its registry did, ours does. An address that nobody answers comes through an injected probe, since the egress refuses it. */
import { expect, test, vi } from 'vitest';

import { agentConfig } from '../../test/support/agent-config.ts';
import { isAvailable } from '../core/agent.ts';
import { AgentRegistry, type Probe } from './registry.ts';
import { lastCheckOf, stateOf } from './entry.ts';

const UNREACHABLE: Probe = () => Promise.resolve({ verdict: 'unreachable' });

function newRegistry(probe: Probe = UNREACHABLE): AgentRegistry {
  return new AgentRegistry({ probe, nowMs: Date.now, random: () => 0.5 });
}

test('test_registry_creation', () => {
  expect(newRegistry().count()).toBe(0);
});

test('test_register_agent', () => {
  const registry = newRegistry();
  registry.register(agentConfig('test-agent'));
  expect(registry.count()).toBe(1);
  expect(registry.get('test-agent')).toBeDefined();
});

test('test_register_duplicate', () => {
  const registry = newRegistry();
  registry.register(agentConfig('test-agent'));
  expect(() => registry.register(agentConfig('test-agent'))).toThrow(
    expect.objectContaining({ code: 'conflict', message: 'Agent already registered: test-agent' }),
  );
});

test('test_unregister_agent', () => {
  const registry = newRegistry();
  registry.register(agentConfig('test-agent'));
  expect(registry.unregister('test-agent')).toBeDefined();
  expect(registry.count()).toBe(0);
});

test('test_update_state', () => {
  const registry = newRegistry();
  registry.register(agentConfig('test-agent'));
  registry.updateState('test-agent', 'healthy');
  const entry = registry.get('test-agent')!;
  expect(stateOf(entry).state).toBe('healthy');
  expect(lastCheckOf(entry)).toBeDefined();
});

test('test_record_invocation', () => {
  const registry = newRegistry();
  registry.register(agentConfig('test-agent'));
  registry.recordInvocation('test-agent', 10_000_000);
  registry.recordInvocation('test-agent', 20_000_000);
  expect(registry.get('test-agent')).toMatchObject({ invocationCount: 2, totalCostNanoUsd: 30_000_000 });
});

test('test_list_available', () => {
  const registry = newRegistry();
  registry.register(agentConfig('agent1', 'https://example.com/agent1'));
  registry.updateState('agent1', 'healthy');
  registry.register(agentConfig('agent2', 'https://example.com/agent2', { enabled: false }));
  expect(registry.listAvailable().map(({ name }) => name)).toEqual(['agent1']);
});

test('test_list_by_tag', () => {
  const registry = newRegistry();
  registry.register(agentConfig('agent1', 'https://example.com/agent1', { tags: ['production'] }));
  registry.register(agentConfig('agent2', 'https://example.com/agent2', { tags: ['staging'] }));
  expect(registry.listByTag('production').map(({ name }) => name)).toEqual(['agent1']);
});

test('test_registry_stats', () => {
  const registry = newRegistry();
  registry.register(agentConfig('agent1', 'https://example.com/agent1'));
  registry.updateState('agent1', 'healthy');
  registry.recordInvocation('agent1', 100_000_000);
  registry.register(agentConfig('agent2', 'https://example.com/agent2'));
  registry.updateState('agent2', 'unhealthy');
  expect(registry.stats()).toEqual({
    totalAgents: 2,
    enabledAgents: 2,
    healthyAgents: 1,
    degradedAgents: 0,
    unhealthyAgents: 1,
    disabledAgents: 0,
    unknownAgents: 0,
    totalInvocations: 1,
    totalCostNanoUsd: 100_000_000,
  });
});

test('test_agent_state_availability', () => {
  expect(isAvailable('healthy')).toBe(true);
  expect(isAvailable('degraded')).toBe(true);
  expect(isAvailable('unknown')).toBe(false);
  expect(isAvailable('unhealthy')).toBe(false);
  expect(isAvailable('disabled')).toBe(false);
});

test('test_unknown_agent_excluded_from_available', () => {
  const registry = newRegistry();
  registry.register(agentConfig('agent1', 'https://example.com/agent1'));
  expect(stateOf(registry.get('agent1')!).state).toBe('unknown');
  expect(registry.listAvailable()).toEqual([]);
  registry.updateState('agent1', 'healthy');
  expect(registry.listAvailable()).toHaveLength(1);
});

test('test_get_for_routing_triggers_health_check', async () => {
  const registry = newRegistry();
  registry.register(agentConfig('probe-agent', 'https://192.0.2.1/health'));
  expect(stateOf(registry.get('probe-agent')!).state).toBe('unknown');
  const entry = (await registry.getForRouting('probe-agent'))!;
  expect(stateOf(entry).state).not.toBe('unknown');
  expect(lastCheckOf(entry)).toBeDefined();
});

test('test_get_for_routing_skips_known_state', async () => {
  const probe = vi.fn<Probe>(UNREACHABLE);
  const registry = newRegistry(probe);
  registry.register(agentConfig('known-agent', 'https://192.0.2.1/health'));
  registry.updateState('known-agent', 'healthy');
  const entry = (await registry.getForRouting('known-agent'))!;
  expect(stateOf(entry).state).toBe('healthy');
  expect(probe).not.toHaveBeenCalled();
});

test('test_check_agent_health_unreachable', async () => {
  const registry = newRegistry();
  registry.register(agentConfig('bad-agent', 'https://192.0.2.1/health'));
  await registry.checkAgentHealth('bad-agent');
  const entry = registry.get('bad-agent')!;
  expect(stateOf(entry)).toEqual({ state: 'unhealthy', reason: 'unreachable' });
  expect(lastCheckOf(entry)).toBeDefined();
});

test('test_check_agent_health_skips_disabled', async () => {
  const probe = vi.fn<Probe>(UNREACHABLE);
  const registry = newRegistry(probe);
  registry.register(agentConfig('disabled-agent', 'https://example.com/agent', { enabled: false }));
  await registry.checkAgentHealth('disabled-agent');
  expect(stateOf(registry.get('disabled-agent')!).state).toBe('unknown');
  expect(probe).not.toHaveBeenCalled();
});

test('test_check_agent_health_nonexistent', async () => {
  await expect(newRegistry().checkAgentHealth('does-not-exist')).resolves.toBeUndefined();
});

test('test_start_health_check_task_runs', async () => {
  const probe = vi.fn<Probe>(UNREACHABLE);
  const registry = newRegistry(probe);
  const { health } = agentConfig('x');
  registry.register(agentConfig('agent', undefined, { health: { ...health, intervalMs: 100 } }));
  const stop = registry.startHealthCheckTask(10);
  // The first round waits for the interval.
  expect(probe).not.toHaveBeenCalled();
  await expect.poll(() => probe.mock.calls.length).toBeGreaterThan(1);
  stop();
  const asked = probe.mock.calls.length;
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(probe.mock.calls.length).toBe(asked);
});
