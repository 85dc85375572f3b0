/** Commands that manage: a running server over its admin API, or its sealed credentials while it does not run. */
import type { Command } from 'commander';

import { addAuditList } from './audit-list.ts';
import { addConfigCommands } from './config.ts';
import { addEntityCommands } from './entities.ts';
import type { CliIo } from './io.ts';
import type { StoreFlags } from './offline-store.ts';
import { addUsageCommand } from './usage.ts';

export function addAdminCommands(program: Command, audit: Command, io: CliIo): void {
  addEntityCommands(program, io);
  addUsageCommand(program, io);
  addAuditList(audit, io);
  addConfigCommands(program, io);
  addVaultCommands(program, io);
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
