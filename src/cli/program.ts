/** The command line: which command, which flags. Each command loads its own parts. */
import { Command, InvalidArgumentError } from 'commander';

import { addAdminCommands } from './admin-program.ts';
import type { AuditFlags } from './audit.ts';
import type { CheckOptions } from './check.ts';
import { packageVersion, processIo } from './process-io.ts';
import type { ServeFlags } from './serve.ts';
import type { VerifyFlags } from './verify.ts';

/** Parses and runs; ends the process with the command's exit code. */
export async function run(argv: string[]): Promise<void> {
  const io = processIo();
  const program = new Command('signalbox').description('Self-hosted AI gateway').version(packageVersion());
  program
    .command('serve', { isDefault: true })
    .description('start the gateway')
    .option('--config <file>', 'configuration file (default: $SIGNALBOX_CONFIG, then gateway.yaml, then first-run mode)')
    .option('--port <number>', 'port to listen on; 0 takes a free one', wholeNumber)
    .option('--host <address>', 'address to listen on')
    .option('--workers <number>', 'worker threads, or auto', workerCount)
    .option('--data <directory>', 'data directory (default: $SIGNALBOX_DATA_DIR, then .signalbox)')
    .action(async (flags: ServeFlags) => {
      const { serve } = await import('./serve.ts');
      process.exit(await serve(flags, io, process.stdout.isTTY));
    });
  program
    .command('check')
    .description('read the configuration and say all that is wrong with it')
    .argument('[file]', 'as --config')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print one JSON object')
    .action(async (file: string | undefined, flags: CheckOptions) => {
      const { runCheck } = await import('./check.ts');
      process.exitCode = await runCheck({ ...flags, config: file ?? flags.config }, io);
    });
  program
    .command('verify')
    .description('recompute all counters of money from the ledger, while no server runs')
    .option('--config <file>', 'configuration file, which may name the store')
    .option('--data <directory>', 'data directory')
    .option('--json', 'print one JSON object')
    .action(async (flags: VerifyFlags) => {
      const { runVerify } = await import('./verify.ts');
      process.exitCode = await runVerify(flags, io);
    });
  const audit = program.command('audit').description('the audit log');
  audit
    .command('verify')
    .description('check that the audit log is as it was written, while no server runs')
    .option('--checkpoint <seq:hash...>', 'heads of the log that were kept elsewhere')
    .option('--config <file>', 'configuration file, which may name the store')
    .option('--data <directory>', 'data directory')
    .option('--json', 'print one JSON object')
    .action(async (flags: AuditFlags) => {
      const { runAuditVerify } = await import('./audit.ts');
      process.exitCode = await runAuditVerify(flags, io);
    });
  addAdminCommands(program, audit, io);
  program
    .command('schema')
    .description('print the JSON Schema of the configuration file')
    .action(async () => {
      const { runSchema } = await import('./schema.ts');
      process.exitCode = runSchema(io);
    });
  refuseUnknown(program, argv[2]);
  await program.parseAsync(argv);
}

/** `serve` is the default, and would take the word for an argument of its own. */
function refuseUnknown(program: Command, word: string | undefined): void {
  if (word === undefined || word.startsWith('-') || word === 'help' || program.commands.some((each) => each.name() === word))
    return;
  program.error(`error: there is no command ${word}; signalbox --help lists them`);
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

function workerCount(text: string): number | 'auto' {
  return text === 'auto' ? text : wholeNumber(text);
}
