/** `signalbox config` and `signalbox export`: what is in force, and the layer that is edited over the API. */
import type { Command } from 'commander';
import { stringify } from 'yaml';

import type { AdminClient } from './admin-client.ts';
import { type Act, commandOf, manages } from './admin-command.ts';
import { CommandError } from './command-error.ts';
import type { CliIo } from './io.ts';
import { type Row, printJson, printTable } from './print.ts';
import { readYaml } from './read-yaml.ts';

interface Applied {
  version: number;
  in_force: boolean;
  late_workers: number[];
  cleared_credentials: string[];
  warnings: Issue[];
}

interface Issue {
  place: string;
  message: string;
}

interface Verdict {
  valid: boolean;
  issues: Issue[];
  warnings: Issue[];
  changes?: { section: string; name: string; change: string }[];
  clears_credentials?: string[];
}

const SECTIONS = ['providers', 'models', 'tags'] as const;
const FILE = 'YAML or JSON with the sections providers, models and tags';

export function addConfigCommands(program: Command, io: CliIo): void {
  const group = program
    .command('config')
    .description('the configuration of a running server, and its layer that is edited over the API');
  addReading(group, io);
  addEditing(group, io);
  manages(
    commandOf(
      program,
      'export',
      'print all that a running server serves as one file that loads again, secrets as references to fill in',
    ),
    io,
    async ({ client }) => io.out((await client.ask('GET', '/config/export')).text),
  );
}

function addReading(group: Command, io: CliIo): void {
  manages(commandOf(group, 'show', 'every entry in force, with the layer it comes from'), io, async ({ client, json }) => {
    const config = await client.json<Record<string, Row[]>>('GET', '/config');
    if (json) return printJson(config, io);
    const rows = SECTIONS.flatMap((section) => (config[section] ?? []).map((entry) => Object.assign({ section }, entry)));
    printTable(rows, ['section', 'name', 'origin', 'credential', 'problem'], io);
  });
  manages(commandOf(group, 'get', 'the document of the API, as YAML'), io, async ({ client, json }) => {
    const { text, headers } = await client.ask('GET', '/config/document');
    const document = JSON.parse(text) as object;
    if (json) return printJson(document, io);
    const version = /^"v(\d+)"$/.exec(headers['etag'] ?? '')?.[1];
    io.out(`# version ${version}\n${stringify(document, { lineWidth: 0 })}`);
  });
  manages(commandOf(group, 'versions', 'its history, newest first'), io, async ({ client, json }) => {
    const page = await client.json<{ data: Row[] }>('GET', '/config/versions');
    if (json) printJson(page, io);
    else printTable(page.data, ['version', 'at', 'by', 'note'], io);
  });
}

function addEditing(group: Command, io: CliIo): void {
  manages(
    commandOf(group, 'validate', 'say all that is wrong with a document').argument('<file>', FILE),
    io,
    verdictBy('validate', io),
  );
  manages(commandOf(group, 'diff', 'say what a document would change').argument('<file>', FILE), io, verdictBy('diff', io));
  const apply = commandOf(group, 'apply', 'make a document the one in force')
    .argument('<file>', FILE)
    .option('--from <version>', 'refuse where another version is in force by now')
    .option('--note <text>', 'why, for the history', '');
  manages(apply, io, async ({ client, args: [path = ''], options, json }) => {
    const document = await read(path);
    const from = options['from'] as string | undefined;
    const etag = from === undefined ? await etagNow(client) : `"v${from}"`;
    const body = { ...document, note: options['note'] };
    printApplied(await client.json<Applied>('PUT', '/config/document', { body, headers: { 'if-match': etag } }), json, io);
  });
  const rollback = commandOf(group, 'rollback', 'make an earlier version the newest').argument('<version>');
  manages(
    rollback.option('--note <text>', 'why, for the history', ''),
    io,
    async ({ client, args: [version], options, json }) => {
      const body = { to: Number(version), note: options['note'] };
      printApplied(await client.json<Applied>('POST', '/config/rollback', { body }), json, io);
    },
  );
}

function verdictBy(action: 'validate' | 'diff', io: CliIo): Act {
  return async ({ client, args: [path = ''], json }) => {
    const verdict = await client.json<Verdict>('POST', `/config/${action}`, { body: await read(path) });
    if (json) printJson(verdict, io);
    else printVerdict(verdict, action, io);
    if (!verdict.valid) throw new CommandError('the document is not valid');
  };
}

function printVerdict(
  { valid, issues, warnings, changes = [], clears_credentials = [] }: Verdict,
  action: string,
  io: CliIo,
): void {
  for (const { place, message } of issues) io.err(`${place}: ${message}\n`);
  for (const { place, message } of warnings) io.err(`warning: ${place}: ${message}\n`);
  if (action === 'diff') printTable(changes, ['change', 'section', 'name'], io);
  else if (valid) io.out('valid\n');
  for (const provider of clears_credentials) io.out(`the credential of ${provider} would be cleared\n`);
}

function printApplied(applied: Applied, json: boolean, io: CliIo): void {
  if (json) return printJson(applied, io);
  for (const { place, message } of applied.warnings) io.err(`warning: ${place}: ${message}\n`);
  for (const provider of applied.cleared_credentials)
    io.out(`the credential of ${provider} was cleared: its address or type has changed\n`);
  const late = applied.in_force ? 'in force' : `not yet in force in workers ${applied.late_workers.join(', ')}`;
  io.out(`version ${applied.version}, ${late}\n`);
}

async function etagNow(client: AdminClient): Promise<string> {
  return (await client.ask('GET', '/config/document')).headers['etag'] ?? '';
}

/** JSON is YAML. */
async function read(path: string): Promise<object> {
  const value = await readYaml(path, { maxAliasCount: 0 });
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CommandError(`${path} must hold a mapping of sections`);
  return value;
}
