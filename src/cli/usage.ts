/** `signalbox usage`: requests, tokens and cost, by any two entities and time. */
import type { Command } from 'commander';

import { commandOf, manages } from './admin-command.ts';
import type { CliIo } from './io.ts';
import { type Row, printJson, printTable } from './print.ts';

/** The most that the API gives at once. */
const MAX_ROWS = 10_000;
const FIGURES = ['requests', 'refused', 'failed', 'input_tokens', 'output_tokens', 'spent_usd', 'estimated_usd'];

const CUT = 'signalbox: there are more rows; narrow the report\n';

export function addUsageCommand(program: Command, io: CliIo): void {
  const command = commandOf(program, 'usage', 'requests, tokens and cost of a running server')
    .option(
      '--by <entities>',
      'up to two of key, team, org, principal, model, provider, tag, end_user, and hour or day; by commas',
    )
    .option('--since <time>', 'from when on; absent: 30 days back')
    .option('--until <time>', 'until when; absent: now')
    .option('--csv', 'print CSV');
  manages(command, io, async ({ client, options, json }) => {
    const { by = '', since, until, csv } = options as { by?: string; since?: string; until?: string; csv?: boolean };
    const query = { by, since, until, format: csv === true ? 'csv' : 'json', limit: String(MAX_ROWS) };
    const { text, headers } = await client.ask('GET', '/usage', { query });
    if (csv === true) {
      io.out(text);
      if (headers['x-signalbox-cut'] === 'true') io.err(CUT);
      return;
    }
    const report = JSON.parse(text) as { data: Row[]; cut: boolean };
    if (json) return printJson(report, io);
    const names = by === '' ? [] : by.split(',').map((each) => (each === 'hour' || each === 'day' ? 'at' : each));
    printTable(report.data, [...names, ...FIGURES], io);
    if (report.cut) io.err(CUT);
  });
}
