/**
 * `npm run simulate -- scenario.yaml …`, or all of `scenarios/`: the product's own planner, breakers, limiter and retries against providers that are only imagined. Prints
 * what each strategy made of them; ends with 1 where a scenario's promise is not kept.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { brokenPromises } from './expect.ts';
import type { Figures } from './measure.ts';
import { simulate } from './run.ts';
import { type Scenario, readScenario } from './scenario.ts';

const FOLDER = join(import.meta.dirname, '../../scenarios');
const COLUMNS = [
  'scenario',
  'strategy',
  'requests',
  'success',
  'mean ms',
  '÷ oracle',
  'cost ÷ oracle',
  'settled s',
  'probes',
  'retries',
  'excluded',
];
const WIDTHS = [24, 17, 9, 10, 9, 8, 14, 10, 7, 8, 9];

function line(cells: readonly string[]): string {
  return cells.map((cell, at) => (at < 2 ? cell.padEnd(WIDTHS[at]!) : cell.padStart(WIDTHS[at]!))).join(' ');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(3)} %`;
}

function row({ name }: Scenario, strategy: string, figures: Figures): string {
  return line([
    name,
    strategy,
    String(figures.requests),
    percent(figures.success),
    figures.latencyMs.toFixed(0),
    figures.latencyVsOracle.toFixed(3),
    figures.costVsOracle.toFixed(3),
    Number.isFinite(figures.settledAfterS) ? figures.settledAfterS.toFixed(1) : 'never',
    String(figures.probesPerPeriod),
    percent(figures.retryShare),
    percent(figures.healthyExcluded),
  ]);
}

const named = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const paths =
  named.length > 0
    ? named
    : readdirSync(FOLDER)
        .filter((file) => file.endsWith('.yaml'))
        .sort()
        .map((file) => join(FOLDER, file));
const broken: string[] = [];
console.log(line(COLUMNS));
for (const path of paths) {
  const scenario = readScenario(path);
  for (const strategy of scenario.strategies) {
    const figures = simulate(scenario, strategy);
    console.log(row(scenario, strategy, figures));
    broken.push(...brokenPromises(scenario, strategy, figures));
  }
}
for (const each of broken) console.error(each);
process.exitCode = broken.length === 0 ? 0 : 1;
