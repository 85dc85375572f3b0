/** How every command that manages a running server is built: the same flags, one client, one way to fail. */
import type { Command } from 'commander';

import type { AdminClient, AdminFlags } from './admin-client.ts';
import { CommandError } from './command-error.ts';
import type { CliIo } from './io.ts';

interface Acting {
  client: AdminClient;
  args: readonly (string | undefined)[];
  options: Readonly<Record<string, unknown>>;
  json: boolean;
}

export type Act = (acting: Acting) => Promise<void>;

export function commandOf(group: Command, name: string, description: string): Command {
  return group.command(name).description(description);
}

/** Adds where and as whom to ask, and runs `act`; what it throws on purpose becomes a line on stderr and exit code 1. */
export function manages(command: Command, io: CliIo, act: Act): void {
  command
    .option('--url <url>', 'the server (default: $SIGNALBOX_URL, then the one that runs on the data directory)')
    .option('--admin-key <key>', 'admin key or management token (default: $SIGNALBOX_ADMIN_KEY, then the data directory’s)')
    .option('--data <directory>', 'data directory (default: $SIGNALBOX_DATA_DIR, then .signalbox)')
    .option('--json', 'print the answer as JSON')
    .action(async () => {
      const options = command.opts<AdminFlags & Record<string, unknown>>();
      process.exitCode = await ending(io, async () => {
        const { createAdminClient } = await import('./admin-client.ts');
        await act({ client: createAdminClient(options, io), args: command.args, options, json: options.json === true });
      });
    });
}

/** The exit code. */
export async function ending(io: CliIo, work: () => Promise<void>): Promise<number> {
  try {
    await work();
    return 0;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    io.err(`signalbox: ${error.message}\n`);
    return 1;
  }
}
