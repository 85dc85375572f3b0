import { describe, expect, test } from 'vitest';

import { type Hops, createHops, hopsIn } from './hops.ts';

const hops = createHops('5a'.repeat(32));
const strangers = createHops('5b'.repeat(32));

const through = (agents: readonly string[], baggage?: string, by: Hops = hops): string | undefined =>
  agents.reduce<string | undefined>((before, agent) => by.enter(before, agent), baggage);

describe('a call that comes through agents', () => {
  test('passes eight, and not a ninth', () => {
    const eight = through(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
    expect(() => hops.enter(eight, 'i')).toThrow('it has come through 8 agents');
  });

  test('does not come back to one of them, and says by which way it came', () => {
    const before = through(['planner', 'searcher', 'writer']);
    expect(() => hops.enter(before, 'planner')).toThrow('planner → searcher → writer → planner');
    expect(() => hops.enter(before, 'reader')).not.toThrow();
  });

  test('keeps what others carry in their baggage, and its own member once', () => {
    const baggage = through(['a', 'b'], 'userId=alice;p=1, ,serverNode=DF%2028');
    expect(baggage).toMatch(/^userId=alice;p=1,serverNode=DF%2028,signalbox-hops=[\w-]+\.[\w-]+$/);
  });

  test.each([
    ['of another installation', through(['a'], undefined, strangers)!],
    ['of another text', through(['a'])!.replace(/=[\w-]+/, `=${Buffer.from('b').toString('base64url')}`)],
    ['cut off', through(['a'])!.slice(0, -1)],
    ['absent', `signalbox-hops=${Buffer.from('a').toString('base64url')}`],
    ['empty', 'signalbox-hops='],
  ])('believes no list whose signature is %s', (_, baggage) => {
    const after = hops.enter(baggage, 'a');
    expect(() => hops.enter(after, 'b')).not.toThrow();
    expect(after).toBe(hops.enter(undefined, 'a'));
  });

  test.each([
    ['beside a forged list', `signalbox-hops=x.y,${through(['a'])}`],
    ['of which there are several', `${through(['b'])},${through(['a'])}`],
    ['with properties', `${through(['a'])};note=1`],
    ['behind more baggage than is passed on', `big=${'x'.repeat(9_000)},${through(['a'])}`],
  ])('knows a list %s', (_, baggage) => {
    expect(() => hops.enter(baggage, 'a')).toThrow('already at work');
    expect(() => hops.enter(hopsIn(baggage), 'a')).toThrow('already at work');
  });

  test('passes on no more than others must take', () => {
    expect(hops.enter(`big=${'x'.repeat(9_000)}`, 'a')).toBe(hops.enter(undefined, 'a'));
  });

  test('may have names of any letters', () => {
    const before = through(['Überprüfer, 1', 'a=b;c']);
    expect(() => hops.enter(before, 'Überprüfer, 1')).toThrow('already at work');
  });
});

test('what goes on where nothing else does', () => {
  const own = through(['a'])!;
  expect(hopsIn(undefined)).toBeUndefined();
  expect(hopsIn('userId=alice')).toBeUndefined();
  expect(hopsIn(['userId=alice', own])).toBe(own);
});
