/** `signalbox audit`: who changed what, and whether the log is as it was written. */
import type { Command } from 'commander';

import { CommandError } from './admin-client.ts';
import { commandOf, manages } from './admin-command.ts';
import type { CliIo } from './io.ts';
import { type Row, printJson, printTable } from './print.ts';

interface Proof {
  intact: boolean;
  rows: number;
  head: { seq: number; hash: string };
  faults: { seq: number; fault: string }[];
}

export function addAuditCommands(program: Command, io: CliIo): void {
  const group = program.command('audit').description('the audit log of a running server');
  const list = commandOf(group, 'list', 'the newest entries')
    .option('--actor <id>', 'root, or a user’s id')
    .option('--action <name>', 'such as key.create')
    .option('--target <id>', 'such as key:key_…')
    .option('--since <time>', 'from when on')
    .option('--limit <number>', 'so many', '50');
  manages(list, io, async ({ client, options, json }) => {
    const { actor, action, target, since, limit } = options as Record<string, string | undefined>;
    const page = await client.json<{ data: Row[] }>('GET', '/audit', { query: { actor, action, target, since, limit } });
    if (json) printJson(page, io);
    else printTable(page.data, ['seq', 'at', 'actor', 'via', 'action', 'outcome', 'target', 'error', 'ip'], io);
  });
  const verify = commandOf(group, 'verify', 'check every entry against its hash and the one before it').option(
    '--checkpoint <seq:hash>',
    'a head that was kept elsewhere: proves that nothing up to there was taken away',
  );
  manages(verify, io, async ({ client, options, json }) => {
    const proof = await client.json<Proof>('GET', '/audit/verify', { query: { checkpoint: options['checkpoint'] as string } });
    if (json) printJson(proof, io);
    else printProof(proof, io);
    if (!proof.intact) throw new CommandError('the log is not as it was written');
  });
}

function printProof({ rows, head, faults }: Proof, io: CliIo): void {
  for (const { seq, fault } of faults) io.err(`entry ${seq}: ${fault}\n`);
  io.out(`${rows} entries, each checked against its hash and the one before it; head ${head.seq}:${head.hash}\n`);
  io.out(
    'This proves that nobody without the installation’s secret changed, removed, inserted or moved one. It proves neither\n',
  );
  io.out(
    'that the newest are all there, nor anything against who has the secret: for that keep heads elsewhere, and pass --checkpoint.\n',
  );
}
