/**
 * Any interleaving of what can happen to agents leaves states and counters legal: the registry against a model that is too simple to be wrong. What must hold after
 * each step: a state is one of five; names, registrations and counters are those of the model; only enabled agents are looked at, each once at a time; what was seen
 * for another registration changes nothing; figures add up; who is available, and who has a tag, is what reading all of them says; one trial per interval.
 */
import {
  type AsyncCommand,
  assert,
  asyncModelRun,
  asyncProperty,
  boolean,
  commands as runs,
  constantFrom,
  nat,
  tuple,
} from 'fast-check';
import { expect, test } from 'vitest';

import { agentConfig } from '../../test/support/agent-config.ts';
import { AGENT_STATES, type CallVerdict, isAvailable } from '../core/agent.ts';
import { stateOf } from './entry.ts';
import { AgentRegistry, type ProbeResult, type ProbeTarget } from './registry.ts';
import type { ProbeVerdict } from './state.ts';

interface Model {
  /** By name: which registration it is, and what it was asked. */
  agents: Map<string, { generation: number; enabled: boolean; invocations: number; cost: number }>;
}

interface Real {
  registry: AgentRegistry;
  /** Probes under way, with the registration they were begun for. */
  probes: { target: ProbeTarget; generation: number; resolve: (result: ProbeResult) => void }[];
  clock: { nowMs: number };
  /** Looks at agents that nobody may look at. */
  forbidden: string[];
  /** When the latest trial was let through, by registration. */
  trials: Map<number, number>;
}

type Command = AsyncCommand<Model, Real>;

const NAMES = ['a', 'b', 'c'] as const;
const name = constantFrom(...NAMES);
const VERDICTS: ProbeVerdict[] = ['ok', 'slow', 'unverified', 'refused', 'failing', 'unreachable'];
const CALLS: CallVerdict[] = ['ok', 'hard', 'slow', 'failing', 'none'];

/** Wraps a step so that what must always hold is checked after it. */
function step(text: string, check: (model: Model) => boolean, run: (model: Model, real: Real) => void | Promise<void>): Command {
  return {
    check,
    toString: () => text,
    run: async (model, real) => {
      await run(model, real);
      await new Promise((resolve) => setImmediate(resolve));
      legal(model, real);
    },
  };
}

function legal({ agents }: Model, { registry, forbidden }: Real): void {
  expect(forbidden).toEqual([]);
  expect(registry.listNames()).toEqual([...agents.keys()].sort());
  const entries = registry.list();
  for (const entry of entries) {
    const known = agents.get(entry.config.name)!;
    expect(AGENT_STATES).toContain(stateOf(entry).state);
    expect([entry.generation, entry.config.enabled]).toEqual([known.generation, known.enabled]);
    expect([entry.invocationCount, entry.totalCostNanoUsd]).toEqual([known.invocations, known.cost]);
    for (const { health } of entry.replicas.values()) {
      expect(Math.min(health.hard, health.soft, health.goodProbes, health.badProbes)).toBeGreaterThanOrEqual(0);
      expect(health.goodProbes > 0 && health.badProbes > 0).toBe(false);
      expect(health.state === 'healthy' && health.reason !== undefined && health.reason !== 'operator').toBe(false);
    }
  }
  const stats = registry.stats();
  expect(stats.healthyAgents + stats.degradedAgents + stats.unhealthyAgents + stats.disabledAgents + stats.unknownAgents).toBe(
    agents.size,
  );
  expect([stats.totalAgents, registry.count()]).toEqual([agents.size, agents.size]);
  expect(stats.enabledAgents).toBe([...agents.values()].filter(({ enabled }) => enabled).length);
  expect(stats.totalCostNanoUsd).toBe([...agents.values()].reduce((sum, { cost }) => sum + cost, 0));
  expect(stats.totalInvocations).toBe([...agents.values()].reduce((sum, { invocations }) => sum + invocations, 0));
  expect(registry.listAvailable().map((config) => config.name)).toEqual(
    entries.filter((entry) => entry.config.enabled && isAvailable(stateOf(entry).state)).map(({ config }) => config.name),
  );
  for (const tag of ['odd', 'even']) {
    expect(registry.listByTag(tag).map((config) => config.name)).toEqual(
      entries.flatMap(({ config }) => (config.tags.includes(tag) ? [config.name] : [])),
    );
  }
}

const has = (agent: string) => (model: Model) => model.agents.has(agent);
const note = (model: Model, { registry }: Real, agent: string, fresh: boolean): void => {
  const { generation, config } = registry.get(agent)!;
  const before = fresh ? { invocations: 0, cost: 0 } : model.agents.get(agent)!;
  model.agents.set(agent, { generation, enabled: config.enabled, invocations: before.invocations, cost: before.cost });
};

const commands = [
  tuple(name, boolean(), nat(3)).map(([agent, enabled, at]) =>
    step(
      `register ${agent}`,
      (model) => !model.agents.has(agent),
      (model, real) => {
        real.registry.register(agentConfig(agent, `https://${at}.example`, { enabled, tags: [at % 2 === 0 ? 'even' : 'odd'] }));
        note(model, real, agent, true);
      },
    ),
  ),
  name.map((agent) =>
    step(`register ${agent} twice`, has(agent), (_, { registry }) => {
      expect(() => registry.register(agentConfig(agent))).toThrow('already registered');
    }),
  ),
  name.map((agent) =>
    step(
      `unregister ${agent}`,
      () => true,
      (model, { registry }) => {
        expect(registry.unregister(agent) !== undefined).toBe(model.agents.delete(agent));
      },
    ),
  ),
  tuple(name, nat(3)).map(([agent, at]) =>
    step(`update ${agent}`, has(agent), (model, real) => {
      const { enabled } = real.registry.getConfig(agent)!;
      real.registry.update(
        agent,
        agentConfig(agent, `https://${at}.example`, { enabled, tags: [at % 2 === 0 ? 'even' : 'odd'] }),
      );
      note(model, real, agent, false);
    }),
  ),
  tuple(name, boolean()).map(([agent, enabled]) =>
    step(`${enabled ? 'enable' : 'disable'} ${agent}`, has(agent), (model, real) => {
      const before = stateOf(real.registry.get(agent)!).state;
      const entry = real.registry.setEnabled(agent, enabled);
      expect(stateOf(entry).state).toBe(enabled ? 'unknown' : before);
      note(model, real, agent, false);
    }),
  ),
  tuple(name, constantFrom(...AGENT_STATES)).map(([agent, state]) =>
    step(
      `set ${agent} ${state}`,
      () => true,
      (model, { registry, trials }) => {
        registry.updateState(agent, state);
        // All that was known is forgotten, the latest trial too.
        trials.delete(model.agents.get(agent)?.generation ?? 0);
        if (model.agents.has(agent)) expect(stateOf(registry.get(agent)!).state).toBe(state);
      },
    ),
  ),
  name.map((agent) =>
    step(
      `look at ${agent}`,
      () => true,
      ({ agents }, { registry, probes }) => {
        const before = probes.length;
        void registry.checkAgentHealth(agent);
        // Never a disabled one, never twice at once.
        expect(probes.length - before).toBeLessThanOrEqual(agents.get(agent)?.enabled === true ? 1 : 0);
        const underWay = probes.map(({ generation }) => generation);
        expect(new Set(underWay).size).toBe(underWay.length);
      },
    ),
  ),
  tuple(nat(5), constantFrom(...VERDICTS)).map(([which, verdict]) =>
    step(
      `a probe says ${verdict}`,
      () => true,
      async (_, { probes, registry }) => {
        const [probe] = probes.splice(which % Math.max(1, probes.length), 1);
        if (probe === undefined) return;
        const states = new Map(registry.list().map((entry) => [entry.generation, stateOf(entry).state]));
        probe.resolve({ verdict, latencyMs: 1 });
        await new Promise((resolve) => setImmediate(resolve));
        // Only the registration that it was begun for may have changed.
        for (const entry of registry.list()) {
          if (entry.generation !== probe.generation) expect(stateOf(entry).state).toBe(states.get(entry.generation));
        }
      },
    ),
  ),
  tuple(name, boolean()).map(([agent, isDue]) =>
    step(
      isDue ? 'a round of those that are due' : `route to ${agent}`,
      () => true,
      (_, { registry }) => void (isDue ? registry.checkDueAgents() : registry.getForRouting(agent)),
    ),
  ),
  tuple(name, constantFrom(...CALLS, 'gone' as const), constantFrom('x', 'y'), boolean()).map(
    ([agent, result, caller, isStale]) =>
      step(`a call to ${agent}: ${result}${isStale ? ' (stale)' : ''}`, has(agent), ({ agents }, { registry }) => {
        const before = stateOf(registry.get(agent)!);
        const generation = agents.get(agent)!.generation - (isStale ? 1 : 0);
        const verdict = result === 'gone' ? 'hard' : result;
        const unreachable = result === 'gone' ? { unreachable: true as const } : {};
        registry.observeCall(agent, { generation, caller, verdicts: [{ replica: '0', verdict, ...unreachable }] });
        const after = stateOf(registry.get(agent)!);
        if (isStale || before.state === 'disabled') expect(after).toEqual(before);
        else if (verdict === 'ok') expect(after.state).toBe('healthy');
        // Slow or failing otherwise: at most Degraded.
        else if (verdict !== 'hard' && before.state !== 'unhealthy') expect(after.state).not.toBe('unhealthy');
      }),
  ),
  tuple(name, nat(1_000)).map(([agent, cost]) =>
    step(
      `${agent} answered`,
      () => true,
      ({ agents }, { registry }) => {
        registry.recordInvocation(agent, cost);
        const known = agents.get(agent);
        if (known === undefined) return;
        known.invocations += 1;
        known.cost += cost;
      },
    ),
  ),
  name.map((agent) =>
    step(`try ${agent}`, has(agent), ({ agents }, { registry, clock, trials }) => {
      const { generation } = agents.get(agent)!;
      const isUnhealthy = stateOf(registry.get(agent)!).state === 'unhealthy';
      const admitted = registry.admitTrial(agent, '0');
      if (!isUnhealthy) expect(admitted).toBe(false);
      expect(registry.admitTrial(agent, '0')).toBe(false);
      if (!admitted) return;
      expect(clock.nowMs - (trials.get(generation) ?? -Infinity)).toBeGreaterThanOrEqual(30_000);
      trials.set(generation, clock.nowMs);
    }),
  ),
  constantFrom(1_000, 31_000, 61_000).map((ms) =>
    step(
      `${ms} ms pass`,
      () => true,
      (_, { clock }) => void (clock.nowMs += ms),
    ),
  ),
];

test('any interleaving leaves states and counters legal', async () => {
  await assert(
    asyncProperty(runs(commands, { maxCommands: 60 }), (run) => {
      const setup = (): { model: Model; real: Real } => {
        const real: Omit<Real, 'registry'> = { probes: [], clock: { nowMs: 1_000_000 }, forbidden: [], trials: new Map() };
        const registry: AgentRegistry = new AgentRegistry({
          probe: (target) => {
            const { generation, config } = registry.get(target.config.name)!;
            if (!config.enabled) real.forbidden.push(config.name);
            return new Promise((resolve) => void real.probes.push({ target, generation, resolve }));
          },
          nowMs: () => real.clock.nowMs,
          random: () => 0.5,
        });
        return { model: { agents: new Map() }, real: { ...real, registry } };
      };
      return asyncModelRun(setup, run);
    }),
    { numRuns: 150 },
  );
});
