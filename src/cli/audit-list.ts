/** `signalbox audit list`: who changed what, of a running server. */
import type { Command } from 'commander';

import { commandOf, manages } from './admin-command.ts';
import type { CliIo } from './io.ts';
import { type Row, printJson, printTable } from './print.ts';

const COLUMNS = ['seq', 'at', 'actor', 'via', 'action', 'outcome', 'target', 'error', 'ip'];

export function addAuditList(group: Command, io: CliIo): void {
  const list = commandOf(group, 'list', 'the newest entries, of a running server')
    .option('--actor <id>', 'root, or a user’s id')
    .option('--action <name>', 'such as key.create')
    .option('--target <id>', 'such as key:key_…')
    .option('--since <time>', 'from when on')
    .option('--limit <number>', 'so many', '50');
  manages(list, io, async ({ client, options, json }) => {
    const { actor, action, target, since, limit } = options as Record<string, string | undefined>;
    const page = await client.json<{ data: Row[] }>('GET', '/audit', { query: { actor, action, target, since, limit } });
    if (json) printJson(page, io);
    else printTable(page.data, COLUMNS, io);
  });
}
