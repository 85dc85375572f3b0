import { describe, expect, test, vi } from 'vitest';

import { agentConfig } from '../../test/support/agent-config.ts';
import { readCard } from './card.ts';
import { type AgentEntry, effectiveStateOf, stateOf } from './entry.ts';
import { createProbe } from './probe.ts';
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
  test('a look that fails is a bad one, and nothing more', async () => {
    const rig = rigged();
    rig.probe.mockRejectedValue(new TypeError('Cannot convert object to primitive value'));
    rig.registry.register(agentConfig('a'));
    rig.clock.nowMs += 3_600_000;
    await expect(rig.registry.checkDueAgents()).resolves.toBeUndefined();
    expect(stateIn(rig)).toEqual({ state: 'degraded', reason: 'errors' });
  });

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

  test('at most sixteen at once, and nobody twice while they are looked at', async () => {
    const rig = rigged();
    for (let index = 0; index < 40; index++) rig.registry.register(agentConfig(`a${index}`));
    const first = rig.registry.checkAllAgentsHealth();
    const second = rig.registry.checkAllAgentsHealth();
    expect(rig.probe).toHaveBeenCalledTimes(16);
    for (let index = 0; index < 40; index++) await rig.answer(WELL);
    await Promise.all([first, second]);
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
    for (let index = 0; index < 11; index++) expect(await askedAfter(index === 0 ? 1_000 : 30_000)).toBe(1);
    expect(await askedAfter(30_000)).toBe(0);
    expect(await askedAfter(30_000)).toBe(1);
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

  test('a disabled one is never looked at, whoever asks; nor is one that shall not be', async () => {
    const rig = rigged(WELL);
    const { health } = agentConfig('x');
    rig.registry.register(agentConfig('a', undefined, { enabled: false }));
    rig.registry.register(agentConfig('off', undefined, { health: { ...health, mode: 'off' } }));
    rig.clock.nowMs += 600_000;
    for (const { config, generation } of rig.registry.list()) {
      await rig.registry.getForRouting(config.name);
      const verdicts = [{ replica: '0', verdict: 'hard', unreachable: true } as const];
      rig.registry.observeCall(config.name, { generation, caller: 'k', verdicts });
    }
    await rig.registry.checkAllAgentsHealth();
    await rig.registry.checkDueAgents();
    expect(rig.probe).not.toHaveBeenCalled();
  });

  test('one that hangs keeps nobody else from being looked at', async () => {
    const rig = rigged();
    rig.registry.register(agentConfig('hung'));
    rig.registry.register(agentConfig('quick'));
    rig.probe.mockImplementation(({ config }) => (config.name === 'hung' ? new Promise(() => {}) : Promise.resolve(WELL)));
    for (let round = 0; round < 3; round++) {
      rig.clock.nowMs += 40_000;
      void rig.registry.checkDueAgents();
      await vi.waitFor(() => expect(rig.registry.get('quick')!.nextProbeAtMs).toBeGreaterThan(rig.clock.nowMs));
    }
    const asked = rig.probe.mock.calls.map(([{ config }]) => config.name);
    expect(asked.filter((name) => name === 'hung')).toHaveLength(1);
    expect(asked.filter((name) => name === 'quick')).toHaveLength(3);
  });

  test('all are looked at though some hang, the longest due first', async () => {
    const rig = rigged();
    for (let index = 0; index < 20; index++) {
      rig.registry.register(agentConfig(`a${index}`));
      rig.clock.nowMs += 1;
    }
    rig.clock.nowMs += 60_000;
    void rig.registry.checkDueAgents();
    expect(rig.probe.mock.calls.map(([{ config }]) => config.name)).toEqual(
      Array.from({ length: 16 }, (_, index) => `a${index}`),
    );
    const all = rig.registry.checkAllAgentsHealth();
    for (let index = 0; index < 20; index++) await rig.answer(WELL);
    await all;
    expect(rig.probe).toHaveBeenCalledTimes(20);
  });

  test('when one that is not there is looked at again its callers learn each time', async () => {
    const told: number[] = [];
    const clock = { nowMs: 0 };
    const registry: AgentRegistry = new AgentRegistry({
      probe: () => Promise.resolve({ verdict: 'unreachable' }),
      nowMs: () => clock.nowMs,
      random: () => 0.5,
      onChange: (name) => told.push(registry.get(name)!.nextProbeAtMs),
    });
    registry.register(agentConfig('a'));
    for (const atMs of [30_000, 60_000, 90_000]) {
      clock.nowMs = atMs;
      await registry.checkDueAgents();
      expect(told.at(-1)).toBe(atMs + 30_000);
    }
  });

  test('whoever is enabled again is Unknown, however that came', async () => {
    for (const again of [
      (rig: Rig) => rig.registry.setEnabled('a', true),
      (rig: Rig) => rig.registry.update('a', agentConfig('a')),
    ]) {
      const rig = rigged(WELL);
      rig.registry.register(agentConfig('a'));
      await rig.registry.checkAgentHealth('a');
      rig.registry.update('a', agentConfig('a', undefined, { enabled: false }));
      expect(stateIn(rig)).toEqual({ state: 'healthy' });
      again(rig);
      expect(stateIn(rig).state).toBe('unknown');
    }
  });

  test.each([
    [0, 27_000],
    [0.5, 30_000],
    [0.999_999, 33_000],
  ])('an interval is a tenth more or less (%d), and registering looks at nothing', async (random, dueMs) => {
    const probe = vi.fn<Probe>(() => Promise.resolve(WELL));
    const clock = { nowMs: 0 };
    const registry = new AgentRegistry({ probe, nowMs: () => clock.nowMs, random: () => random });
    registry.register(agentConfig('a'));
    for (const [atMs, looks] of [
      [dueMs - 1, 0],
      [dueMs, 1],
      [2 * dueMs - 1, 1],
      [2 * dueMs, 2],
    ] as const) {
      clock.nowMs = atMs;
      await registry.checkDueAgents();
      expect(probe).toHaveBeenCalledTimes(looks);
    }
  });

  test('where only its card counts, its URL is not asked', async () => {
    const get = vi.fn(({ url }: { url: string }) =>
      Promise.resolve({ status: url.includes('.well-known') ? 404 : 200, body: Buffer.from('') }),
    );
    const registry = new AgentRegistry({ probe: createProbe({ get, nowMs: Date.now }), nowMs: Date.now, random: () => 0.5 });
    const { health } = agentConfig('x');
    registry.register(agentConfig('a', undefined, { health: { ...health, mode: 'card' } }));
    await registry.checkAgentHealth('a');
    expect(get.mock.calls.every(([{ url }]) => url.includes('.well-known'))).toBe(true);
    expect(stateOf(registry.get('a')!)).toEqual({ state: 'degraded', reason: 'unverified' });
  });

  test.each([301, 302, 307, 308])('a redirect (%d) is not followed, and makes it Degraded', async (status) => {
    const get = vi.fn(() => Promise.resolve({ status, body: Buffer.from('') }));
    const probe = createProbe({ get, nowMs: Date.now });
    const registry = new AgentRegistry({ probe, nowMs: Date.now, random: () => 0.5 });
    const { health } = agentConfig('x');
    registry.register(agentConfig('a', undefined, { health: { ...health, mode: 'url' } }));
    await registry.checkAgentHealth('a');
    expect(get).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ url: 'https://example.com/agent' }));
    expect(stateOf(registry.get('a')!)).toEqual({ state: 'degraded', reason: 'errors' });
  });

  test('who has come back is looked at as usual', async () => {
    const rig = rigged({ verdict: 'unreachable' });
    rig.registry.register(agentConfig('a'));
    for (let index = 0; index < 17; index++) {
      if (index === 16) rig.probe.mockResolvedValue(WELL);
      rig.clock.nowMs += 300_000;
      await rig.registry.checkDueAgents();
    }
    expect(stateIn(rig)).toEqual({ state: 'healthy' });
    expect(rig.registry.get('a')!.nextProbeAtMs - rig.clock.nowMs).toBe(30_000);
  });

  test('a change of words meanwhile does not give whoever wants to call an Unknown agent', async () => {
    const rig = rigged();
    rig.registry.register(agentConfig('a'));
    const routed = rig.registry.getForRouting('a');
    rig.registry.update('a', agentConfig('a', undefined, { description: 'other words' }));
    await rig.answer(WELL);
    if (rig.probe.mock.calls.length > 1) await rig.answer(WELL);
    expect(stateOf((await routed)!).state).toBe('healthy');
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

  const elsewhere = card({ url: 'https://elsewhere.example/rpc' });
  test.each<[string, (rig: Rig) => Promise<void> | void, boolean]>([
    [
      'while only words of the configuration change',
      ({ registry }) => void registry.update('a', agentConfig('a', undefined, { description: 'x' })),
      true,
    ],
    ['until the old one is served again', (rig) => rig.answer({ ...WELL, card: card() }), false],
    ['until the agent moves', ({ registry }) => void registry.update('a', agentConfig('a', 'https://other.example')), false],
  ])('another card waits %s', async (_, change, waits) => {
    const rig = rigged();
    rig.registry.register(agentConfig('a'));
    for (const found of [card(), elsewhere]) {
      void rig.registry.checkAgentHealth('a');
      await rig.answer({ ...WELL, card: found });
    }
    expect(rig.registry.get('a')!.pendingCard).toBe(elsewhere);
    expect(stateIn(rig)).toEqual({ state: 'healthy' });
    void rig.registry.checkAgentHealth('a');
    await change(rig);
    expect(rig.registry.get('a')!.pendingCard !== undefined).toBe(waits);
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
    [
      'a',
      'https://me:secret@example.com',
      'Agent URL must hold no user and no password; use `api_key` or `headers`: https://…@example.com',
    ],
  ])('%j at %j is refused', (name, url, message) => {
    const { registry } = rigged();
    expect(() => registry.register(agentConfig(name, url))).toThrow(message);
    expect(registry.count()).toBe(0);
  });

  test('states are counted as they are set, whether anybody may call or not', () => {
    const { registry } = rigged();
    for (const state of ['unknown', 'healthy', 'degraded', 'unhealthy', 'disabled'] as const) {
      registry.register(agentConfig(state, undefined, { enabled: state !== 'degraded' }));
      registry.updateState(state, state);
      registry.recordInvocation(state, 2);
    }
    expect(registry.stats()).toEqual({
      totalAgents: 5,
      enabledAgents: 4,
      healthyAgents: 1,
      degradedAgents: 1,
      unhealthyAgents: 1,
      disabledAgents: 1,
      unknownAgents: 1,
      totalInvocations: 5,
      totalCostNanoUsd: 10,
    });
    expect(registry.listAvailable().map(({ name }) => name)).toEqual(['healthy']);
    expect(registry.listNames()).toEqual(['degraded', 'disabled', 'healthy', 'unhealthy', 'unknown']);
  });

  test('what is not there is asked nothing and counts nothing; whoever comes again begins at nothing', () => {
    const rig = rigged();
    expect(() => (rig.registry.recordInvocation('a', 1), rig.registry.updateState('a', 'healthy'))).not.toThrow();
    expect([rig.registry.unregister('a'), rig.registry.admitTrial('a', '0')]).toEqual([undefined, false]);
    expect(() => rig.registry.update('a', agentConfig('a'))).toThrow('Agent not found: a');
    expect(rig.changed).toEqual([]);
    rig.registry.register(agentConfig('a'));
    rig.registry.recordInvocation('a', 1);
    rig.registry.unregister('a');
    expect(rig.registry.register(agentConfig('a'))).toMatchObject({ invocationCount: 0, totalCostNanoUsd: 0 });
    expect(rig.changed).toEqual(['a', 'a', 'a']);
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

  test('whoever waits for a trial waits until it has ended', async () => {
    const rig = rigged({ verdict: 'unreachable' });
    const { generation } = rig.registry.register(agentConfig('a'));
    await rig.registry.checkAgentHealth('a');
    await expect(rig.registry.trialEnded('a', '0')).resolves.toBeUndefined();
    expect(rig.registry.admitTrial('a', '0')).toBe(true);
    const ended = vi.fn<() => void>();
    const waiting = rig.registry.trialEnded('a', '0').then(ended);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(ended).not.toHaveBeenCalled();
    rig.registry.observeCall('a', { generation, caller: 'k', verdicts: [{ replica: '0', verdict: 'ok' }] });
    await waiting;
  });

  test('one that is disabled is not tried', () => {
    const { registry } = rigged();
    registry.register(agentConfig('a'));
    registry.updateState('a', 'unhealthy');
    registry.setEnabled('a', false);
    expect(registry.admitTrial('a', '0')).toBe(false);
  });
});
