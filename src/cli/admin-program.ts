/** Commands that manage: a running server over its admin API, or its sealed credentials while it does not run. */
import type { Command } from 'commander';

import { ending } from './admin-command.ts';
import { addAuditList } from './audit-list.ts';
import { addConfigCommands } from './config.ts';
import { addEntityCommands } from './entities.ts';
import type { ImportFlags } from './import-litellm.ts';
import type { CliIo } from './io.ts';
import type { StoreFlags } from './offline-store.ts';
import { addUsageCommand } from './usage.ts';

export function addAdminCommands(program: Command, audit: Command, io: CliIo): void {
  addEntityCommands(program, io);
  addUsageCommand(program, io);
  addAuditList(audit, io);
  addConfigCommands(program, io);
  addVaultCommands(program, io);
  addImport(program, io);
}

function addImport(program: Command, io: CliIo): void {
  program
    .command('import')
    .description('take over what another gateway has')
    .command('litellm')
    .description('models as a configuration file; from the database keys, teams, people and budgets into a running server')
    .argument('<config>', 'LiteLLM’s config.yaml')
    .option('--out <file>', 'where to write the configuration file; absent: standard output')
    .option('--database <url>', 'LiteLLM’s database, postgres://…; `env` takes DATABASE_URL')
    .option('--dry-run', 'change and write nothing; say what would be done')
    .option('--url <url>', 'the server (default: $SIGNALBOX_URL, then the one that runs on the data directory)')
    .option('--admin-key <key>', 'admin key (default: $SIGNALBOX_ADMIN_KEY, then the data directory’s)')
    .option('--data <directory>', 'data directory (default: $SIGNALBOX_DATA_DIR, then .signalbox)')
    .option('--json', 'print one JSON object')
    .action(async (path: string, flags: ImportFlags) => {
      process.exitCode = await ending(io, async () => (await import('./import-litellm.ts')).importLitellm(path, flags, io));
    });
}

function addVaultCommands(program: Command, io: CliIo): void {
  const group = program.command('vault').description('the key that seals credentials in the store, while no server runs');
  const offline = (name: string, description: string, act: (flags: StoreFlags) => Promise<number>): void => {
    group
      .command(name)
      .description(description)
      .option('--config <file>', 'configuration file, which may name the store')
      .option('--data <directory>', 'data directory')
      .action(async (flags: StoreFlags) => {
        process.exitCode = await act(flags);
      });
  };
  offline(
    'rotate',
    'make a new key and seal every credential with it; with SIGNALBOX_KEK: seal with the first of its keys',
    async (flags) => (await import('./vault.ts')).rotateVault(flags, io),
  );
  offline('forget', 'remove the credentials that no key at hand opens, to be entered again', async (flags) =>
    (await import('./vault.ts')).forgetLost(flags, io),
  );
}
