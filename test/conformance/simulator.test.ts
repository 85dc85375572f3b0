/** The simulator keeps every scenario's promises; the long ones in a short form here, whole in test/long. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { brokenPromises } from '../../bench/simulate/expect.ts';
import { simulate } from '../../bench/simulate/run.ts';
import { readScenario } from '../../bench/simulate/scenario.ts';
import { ROOT, startCommand } from '../support/command.ts';

const FOLDER = join(ROOT, 'scenarios');
const FILES = readdirSync(FOLDER).sort();
/** Virtual seconds, beyond which a test would take too long. */
const SHORT_S = 1_200;

describe.each(FILES)('%s', (file) => {
  const scenario = readScenario(join(FOLDER, file));
  const short = scenario.duration_s <= SHORT_S ? scenario : { ...scenario, duration_s: SHORT_S / 2, warm_up_s: 60 };
  // The others are there to be compared with.
  const promised = scenario.strategies.filter((each, at) => at === 0 || scenario.expect_of?.[each] !== undefined);
  test.each(promised)('%s', (strategy) => {
    const figures = simulate(short, strategy);
    expect(figures.requests).toBeGreaterThan(100);
    expect(brokenPromises(scenario, strategy, figures)).toEqual([]);
  });
});

test('the same seed gives the same run, another seed another one', () => {
  const scenario = { ...readScenario(join(FOLDER, 'flapping.yaml')), duration_s: 60 };
  const figures = simulate(scenario, 'latency');
  expect(simulate(scenario, 'latency')).toEqual(figures);
  expect(simulate({ ...scenario, seed: 2 }, 'latency')).not.toEqual(figures);
});

test('a strategy that knows nothing of speed breaks what `latency` promises', () => {
  const scenario = readScenario(join(FOLDER, 'one-slow-of-five.yaml'));
  const promises = { ...scenario, expect_of: { weighted: { latency_vs_oracle_max: 1.1 } } };
  expect(brokenPromises(promises, 'weighted', simulate(scenario, 'weighted'))).toEqual([
    expect.stringContaining('latency_vs_oracle_max'),
  ]);
});

test('a scenario that cannot be read is refused with every mistake in it', async () => {
  const { code, stderr } = await startCommand(process.execPath, ['bench/simulate/main.ts', 'test/fixtures/bad-scenario.yaml'], {
    cwd: ROOT,
    env: {},
  }).finished;
  expect(code).toBe(1);
  expect(stderr).toMatch(/bad-scenario\.yaml:\n {2}duration_s: .+\n {2}targets: /);
});
