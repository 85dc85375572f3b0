/** All scenarios whole: millions of requests, days of virtual time. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { brokenPromises } from '../../bench/simulate/expect.ts';
import { simulate } from '../../bench/simulate/run.ts';
import { readScenario } from '../../bench/simulate/scenario.ts';
import { ROOT } from '../support/command.ts';

const FOLDER = join(ROOT, 'scenarios');

describe.each(readdirSync(FOLDER).sort())('%s', (file) => {
  const scenario = readScenario(join(FOLDER, file));
  test.each(scenario.strategies)('%s', (strategy) => {
    expect(brokenPromises(scenario, strategy, simulate(scenario, strategy))).toEqual([]);
  });
});
