import { describe, expect, test, vi } from 'vitest';

import { agentConfig } from '../../test/support/agent-config.ts';
import { readCard } from './card.ts';
import { type AgentEntry, effectiveStateOf, stateOf } from './entry.ts';
import { type AgentEvent, AgentRegistry, type Probe, type ProbeResult } from './registry.ts';

interface Rig {
  registry: AgentRegistry;
  probe: ReturnType<typeof vi.fn<Probe>>;
  /** Ends the probes that wait, in the order they were asked. */
  answer: (result: ProbeResult) => Promise<void>;
  changed: string[];
  events: AgentEvent[];
  clock: { nowMs: number };
}

/** Probes wait until they are answered, unless `answer` is given at once. */
function rigged(immediate?: ProbeResult): Rig {
  const waiting: ((result: ProbeResult) => void)[] = [];
  const probe = vi.fn<Probe>(() =>
    immediate === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(immediate),
  );
  const changed: string[] = [];
  const events: AgentEvent[] = [];
  const clock = { nowMs: 1_000_000 };
  const registry = new AgentRegistry({
    probe,
    nowMs: () => clock.nowMs,
    random: () => 0.5,
    onChange: (name) => void changed.push(name),
    onEvent: (event) => void events.push(event),
  });
  const answer = async (result: ProbeResult): Promise<void> => {
    waiting.shift()!(result);
    await new Promise((resolve) => setTimeout(resolve));
  };
  return { registry, probe, answer, changed, events, clock };
}

const stateIn = ({ registry }: Rig, name = 'a'): ReturnType<typeof stateOf> => stateOf(registry.get(name)!);
const WELL: ProbeResult = { verdict: 'ok', latencyMs: 5 };

function card(more: object = {}): NonNullable<ProbeResult['card']> {
  const read = readCard(
    JSON.stringify({ name: 'x', url: 'https://example.com/rpc', protocolVersion: '0.3.0', skills: [], ...more }),
  );
  if (!read.ok) throw new Error(read.problem);
  return { url: 'https://example.com/card', facts: read.card, fetchedAtMs: 0, signature: 'none' };
}

describe('looking', () => {
  test('a thousand first routings of one Unknown agent are one probe', async () => {
    const rig = rigged();
    rig.registry.register(agentConfig('a'));
    const routed = Promise.all(Array.from({ length: 1_000 }, () => rig.registry.getForRouting('a')));
    expect(rig.probe).toHaveBeenCalledOnce();
    await rig.answer(WELL);
    expect(new Set((await routed).map((entry) => stateOf(entry!).state))).toEqual(new Set(['healthy']));
    expect(rig.probe).toHaveBeenCalledOnce();
  });

  test.each<[string, (rig: Rig) => void, AgentEntry['origin'] | 'gone']>([
    [
      'another registration of the name',
      ({ registry }) => (registry.unregister('a'), registry.register(agentConfig('a', 'https://other.example'))),
      'api',
    ],
    ['another place', ({ registry }) => registry.update('a', agentConfig('a', 'https://other.example')), 'api'],
    ['its disabling', ({ registry }) => registry.setEnabled('a', false), 'api'],
    ['its end', ({ registry }) => registry.unregister('a'), 'gone'],
  ])('what was seen before %s says nothing after it', async (_, meanwhile, left) => {
    const rig = rigged();
    rig.registry.register(agentConfig('a'));
    void rig.registry.checkAgentHealth('a');
    meanwhile(rig);
    await rig.answer(WELL);
    if (left === 'gone') expect(rig.registry.get('a')).toBeUndefined();
    else expect(stateIn(rig)).toEqual({ state: 'unknown' });
  });

  test('at most sixteen at once, and no round while one is under way', async () => {
    const rig = rigged();
    for (let index = 0; index < 40; index++) rig.registry.register(agentConfig(`a${index}`));
    const first = rig.registry.checkAllAgentsHealth();
    expect(rig.registry.checkAllAgentsHealth()).toBe(first);
    expect(rig.probe).toHaveBeenCalledTimes(16);
    for (let index = 0; index < 40; index++) await rig.answer(WELL);
    await first;
    expect(rig.probe).toHaveBeenCalledTimes(40);
    expect(rig.registry.stats().healthyAgents).toBe(40);
  });

  test('as its interval passes, more seldom where nothing has answered for long, never while it is disabled', async () => {
    const rig = rigged({ verdict: 'unreachable' });
    rig.registry.register(agentConfig('a'));
    const askedAfter = async (ms: number): Promise<number> => {
      rig.clock.nowMs += ms;
      const before = rig.probe.mock.calls.length;
      await rig.registry.checkDueAgents();
      return rig.probe.mock.calls.length - before;
    };
    expect(await askedAfter(29_000)).toBe(0);
    for (let index = 0; index < 12; index++) expect(await askedAfter(index === 0 ? 1_000 : 30_000)).toBe(index > 11 ? 0 : 1);
    expect(await askedAfter(30_000)).toBe(0);
    expect(await askedAfter(90_000)).toBe(1);
    rig.registry.setEnabled('a', false);
    expect(await askedAfter(600_000)).toBe(0);
  });

  test('a replica that cannot be reached does not make the agent so', async () => {
    const rig = rigged();
    const replicas = ['one', 'two'].map((id) => ({ id, url: `https://${id}.example`, weight: 1, drain: false }));
    rig.registry.register(agentConfig('a', 'https://one.example', { replicas }));
    void rig.registry.checkAgentHealth('a');
    await rig.answer({ verdict: 'unreachable' });
    await rig.answer(WELL);
    expect(stateIn(rig)).toEqual({ state: 'healthy' });
    expect([...rig.registry.get('a')!.replicas.values()].map(({ health }) => health.state)).toEqual(['unhealthy', 'healthy']);
  });
});

describe('cards', () => {
  test('the first one is taken; one that leads elsewhere waits for the operator', async () => {
    const rig = rigged();
    rig.registry.register(agentConfig('a'));
    const see = async (found: NonNullable<ProbeResult['card']>): Promise<void> => {
      void rig.registry.checkAgentHealth('a');
      await rig.answer({ ...WELL, card: found });
    };
    await see(card());
    expect(rig.registry.get('a')!.card!.facts.name).toBe('x');
    await see(card({ name: 'other words' }));
    expect(rig.registry.get('a')!.card!.facts.name).toBe('other words');
    await see(card({ url: 'https://elsewhere.example/rpc' }));
    await see(card({ url: 'https://elsewhere.example/rpc' }));
    expect(rig.registry.get('a')!.card!.facts.name).toBe('other words');
    expect(rig.events.filter(({ kind }) => kind === 'card_changed')).toHaveLength(1);
    expect(rig.registry.adoptPendingCard('a').card!.facts.raw.url).toBe('https://elsewhere.example/rpc');
    expect(() => rig.registry.adoptPendingCard('a')).toThrow('No changed card waits');
  });
});

describe('changing', () => {
  test('counters stay; health stays where only words change', async () => {
    const rig = rigged(WELL);
    rig.registry.register(agentConfig('a'));
    await rig.registry.checkAgentHealth('a');
    rig.registry.recordInvocation('a', 7);
    rig.registry.update('a', agentConfig('a', undefined, { description: 'other words' }));
    expect(stateIn(rig)).toEqual({ state: 'healthy' });
    rig.registry.update('a', agentConfig('a', 'https://other.example'));
    expect(stateIn(rig)).toEqual({ state: 'unknown' });
    expect(rig.registry.get('a')).toMatchObject({ invocationCount: 1, totalCostNanoUsd: 7 });
  });

  test('a disabled agent keeps its state and takes nothing; enabled again it is Unknown', async () => {
    const rig = rigged(WELL);
    rig.registry.register(agentConfig('a'));
    await rig.registry.checkAgentHealth('a');
    const disabled = rig.registry.setEnabled('a', false);
    expect([stateOf(disabled).state, effectiveStateOf(disabled)]).toEqual(['healthy', 'disabled']);
    expect(rig.registry.stats()).toMatchObject({ healthyAgents: 1, disabledAgents: 0, enabledAgents: 0 });
    expect(stateOf(rig.registry.setEnabled('a', true)).state).toBe('unknown');
  });

  test('tags are found by as they are now', () => {
    const { registry } = rigged();
    registry.register(agentConfig('a', undefined, { tags: ['x', 'y'] }));
    registry.update('a', agentConfig('a', undefined, { tags: ['y', 'z'] }));
    expect(['x', 'y', 'z'].map((tag) => registry.listByTag(tag).length)).toEqual([0, 1, 1]);
    registry.unregister('a');
    expect(registry.listByTag('y')).toEqual([]);
  });

  test.each([
    ['', 'https://example.com', 'Agent name cannot be empty'],
    ['a', '', 'Agent URL cannot be empty'],
    ['a', 'ftp://example.com', 'Agent URL must start with http:// or https://, got: ftp://example.com'],
    ['a', 'https://', 'Agent URL has an invalid or missing host: https://'],
    ['a', 'https://me:secret@example.com', 'Agent URL has an invalid or missing host: https://…@example.com'],
  ])('%j at %j is refused', (name, url, message) => {
    const { registry } = rigged();
    expect(() => registry.register(agentConfig(name, url))).toThrow(message);
    expect(registry.count()).toBe(0);
  });
});

describe('calls', () => {
  const dead = { replica: '0', verdict: 'hard', unreachable: true } as const;

  test('one that cannot be reached is looked at at once, not by the next callers', () => {
    const rig = rigged();
    const { generation } = rig.registry.register(agentConfig('a'));
    rig.registry.observeCall('a', { generation, caller: 'k', verdicts: [dead] });
    expect(rig.probe).toHaveBeenCalledOnce();
  });

  test('of an older registration say nothing', () => {
    const rig = rigged();
    const { generation } = rig.registry.register(agentConfig('a'));
    rig.registry.unregister('a');
    rig.registry.register(agentConfig('a'));
    for (let index = 0; index < 5; index++) rig.registry.observeCall('a', { generation, caller: 'k', verdicts: [dead] });
    expect(stateIn(rig)).toEqual({ state: 'unknown' });
  });

  test('an Unhealthy one is tried once per interval, and the trial decides', async () => {
    const rig = rigged({ verdict: 'unreachable' });
    const { generation } = rig.registry.register(agentConfig('a'));
    await rig.registry.checkAgentHealth('a');
    expect([rig.registry.admitTrial('a', '0'), rig.registry.admitTrial('a', '0')]).toEqual([true, false]);
    rig.clock.nowMs += 30_000;
    expect(rig.registry.admitTrial('a', '0')).toBe(true);
    rig.registry.observeCall('a', { generation, caller: 'k', verdicts: [{ replica: '0', verdict: 'ok' }] });
    expect(stateIn(rig)).toEqual({ state: 'healthy' });
    expect(rig.registry.admitTrial('a', '0')).toBe(false);
    expect(rig.events.map((event) => event.kind === 'state' && `${event.from} → ${event.to}`)).toEqual([
      'unknown → unhealthy',
      'unhealthy → healthy',
    ]);
  });
});
