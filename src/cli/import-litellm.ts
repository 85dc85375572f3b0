/**
 * `signalbox import litellm`: LiteLLM's config.yaml as a file of ours; from its database keys, teams, people and budgets into a running server. What was
 * made by an earlier run is found again by its LiteLLM id and left as it is.
 */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { stringify } from 'yaml';

import { type ImportedConfig, importLitellmConfig } from '../control/import/litellm-config.ts';
import { type EntityPlan, planEntities } from '../control/import/litellm-entities.ts';
import { CATALOG, catalogRow } from '../providers/catalog.ts';
import { type AdminFlags, createAdminClient } from './admin-client.ts';
import { CommandError } from './command-error.ts';
import type { CliIo } from './io.ts';
import { type Outcome, carryOut } from './litellm-carry-out.ts';
import { readLitellmDatabase } from './litellm-database.ts';
import { printJson } from './print.ts';
import { readYaml } from './read-yaml.ts';

export interface ImportFlags extends AdminFlags {
  database?: string;
  out?: string;
  dryRun?: boolean;
}

/** Throws CommandError. */
export async function importLitellm(path: string, flags: ImportFlags, io: CliIo): Promise<void> {
  const imported = importLitellmConfig(await readYaml(path, { maxAliasCount: 1_000 }), {
    row: catalogRow,
    ids: CATALOG.map(({ id }) => id),
  });
  const yaml = stringify(imported.config, { lineWidth: 0, aliasDuplicateObjects: false });
  const plan = flags.database === undefined ? undefined : await planOf(flags.database, imported, io);
  // Before the file is written: a server that is not there is no reason for half an import.
  const client = plan === undefined || flags.dryRun === true ? undefined : createAdminClient(flags, io);
  if (flags.dryRun !== true) await writeOut(yaml, flags, io);
  const made = plan === undefined || client === undefined ? undefined : await carryOut(plan, client);
  report({ imported, plan, made, flags }, io);
}

async function planOf(url: string, { groups }: ImportedConfig, io: CliIo): Promise<EntityPlan> {
  const resolved = url === 'env' ? io.env['DATABASE_URL'] : url;
  if (resolved === undefined) throw new CommandError('--database env: DATABASE_URL is not set');
  return planEntities(await readLitellmDatabase(resolved), groups, Date.now());
}

async function writeOut(yaml: string, { out, json }: ImportFlags, io: CliIo): Promise<void> {
  if (out === undefined) {
    if (json !== true) io.out(yaml);
    return;
  }
  if (existsSync(out)) throw new CommandError(`${out} is there already`);
  await writeFile(out, yaml, { flag: 'wx', mode: 0o600 });
}

interface Report {
  imported: ImportedConfig;
  plan: EntityPlan | undefined;
  made: Outcome | undefined;
  flags: ImportFlags;
}

function report({ imported, plan, made, flags }: Report, io: CliIo): void {
  const notes = [...imported.notes, ...(plan?.notes ?? []), ...(made?.notes ?? [])];
  const counts = countsOf(imported, plan);
  const isDry = flags.dryRun === true;
  if (flags.json === true) {
    return printJson({ dry_run: isDry, counts, ...(made && { made: made.tallies }), notes, config: imported.config }, io);
  }
  for (const { place, message } of notes) io.err(`${place}: ${message}\n`);
  const found = Object.entries(counts).map(([noun, count]) => `${count} ${noun}`);
  io.err(`${isDry ? 'would import' : 'read'}: ${found.join(', ')}; ${notes.length} notes\n`);
  for (const [noun, { made: now, there, refused }] of Object.entries(made?.tallies ?? {})) {
    io.err(`${noun}: ${now} made, ${there} there already, ${refused} refused\n`);
  }
}

function countsOf({ config }: ImportedConfig, plan: EntityPlan | undefined): Record<string, number> {
  const entities = plan && {
    organisations: plan.orgs.length,
    teams: plan.teams.length,
    users: plan.users.length,
    keys: plan.keys.length,
  };
  return { providers: Object.keys(config.providers).length, models: config.models.length, ...entities };
}
