/** `signalbox check`: reads the configuration as `serve` would, and says all that is wrong with it, without serving. */
import { buildSnapshot } from '../config/build-snapshot.ts';
import type { ConfigIssue } from '../config/issue.ts';
import { formatIssue } from '../config/issue.ts';
import type { LoadedConfig } from '../config/load.ts';
import { loadConfig } from '../config/load.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { createPriceBook } from '../ledger/price.ts';
import { CATALOG, catalogRow } from '../providers/catalog.ts';
import { modelFacts } from '../providers/models/facts.ts';
import { EXIT_CONFIG } from '../runtime/start-error.ts';
import { configPath } from './config-path.ts';
import type { CliIo } from './io.ts';

export interface CheckOptions {
  config?: string | undefined;
  /** One JSON object on stdout instead of lines. */
  json?: boolean | undefined;
}

/** What `--json` prints. */
export interface CheckReport {
  ok: boolean;
  file: string | null;
  errors: ConfigIssue[];
  warnings: ConfigIssue[];
  /** How many of each; absent where there are errors. */
  summary?: { providers: number; models: number; keys: number };
}

/** Answers the exit code: 78 where there is an error, else 0. */
export async function runCheck(options: CheckOptions, io: CliIo): Promise<number> {
  const report = await check(configPath(options.config, io), io);
  if (options.json === true) io.out(`${JSON.stringify(report)}\n`);
  else printReport(report, io);
  return report.ok ? 0 : EXIT_CONFIG;
}

async function check(path: string | undefined, io: CliIo): Promise<CheckReport> {
  const catalog = { row: catalogRow, ids: CATALOG.map(({ id }) => id) };
  const result = await loadConfig({ path, env: io.env, catalog });
  const file = path ?? null;
  if (!result.ok) return { ok: false, file, errors: result.issues, warnings: [] };
  const { loaded, warnings } = result;
  const snapshot = buildSnapshot(loaded, {
    catalog,
    prices: await createPriceBook({ nowMs: Date.now }),
    modelFacts,
    // Digests and places in shared memory are made and thrown away.
    pepper: '00',
    slotOf: () => 0,
    nowMs: Date.now(),
    version: 1,
    platform: process.platform,
    cores: 1,
  });
  const { providers, models, keys } = loaded.settings;
  const summary = { providers: Object.keys(providers).length, models: models.length, keys: keys.length };
  return { ok: true, file, errors: [], warnings: [...warnings, ...unpriced(file ?? '', loaded, snapshot)], summary };
}

/** Targets whose cost nobody will know. */
function unpriced(file: string, { settings }: LoadedConfig, snapshot: Snapshot): ConfigIssue[] {
  return settings.models.flatMap(({ name }, modelIndex) => {
    const targets = snapshot.models.find((model) => model.name === name)?.targets ?? [];
    return targets.flatMap(({ id, priceState }, index) => {
      if (priceState.status !== 'unpriced') return [];
      const message = `no price is known for ${id}: its cost stays unknown until the target has a \`price\``;
      return [{ file, line: 0, column: 0, path: `models[${modelIndex}].targets[${index}]`, message }];
    });
  });
}

function printReport({ file, errors, warnings, summary }: CheckReport, io: CliIo): void {
  for (const issue of errors) io.err(`${formatIssue(issue)}\n`);
  for (const issue of warnings) io.err(`warning: ${formatIssue(issue)}\n`);
  if (summary === undefined) io.err(`${errors.length} ${errors.length === 1 ? 'error' : 'errors'}\n`);
  else if (file === null) io.out('no configuration file: Signalbox would start in first-run mode\n');
  else
    io.out(
      `${file} is valid: ${count(summary.providers, 'provider')}, ${count(summary.models, 'model')}, ${count(summary.keys, 'key')}\n`,
    );
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
