/** Flags that become fields of keys, teams, users and organisations. */
import { type Command, Option } from 'commander';

import { CommandError } from './command-error.ts';

type Fields = Record<string, unknown>;

interface Flag {
  flags: string;
  description: string;
  /** The members of the request's body that it sets. */
  fields: (text: string) => Fields;
}

const WINDOWS = ['hour', 'day', 'week', 'month', 'total'];

const text = (field: string) => (value: string) => ({ [field]: value });
const words = (field: string) => (value: string) => ({ [field]: value.split(',').map((each) => each.trim()) });
const limit = (field: string) => (value: string) => ({ limits: { [field]: wholeNumber(value) } });

export const FLAGS = {
  name: { flags: '--name <text>', description: 'another name', fields: text('name') },
  models: {
    flags: '--models <names>',
    description: 'models it may use: names, prefix*, *; separated by commas',
    fields: words('models'),
  },
  tags: { flags: '--tags <tags>', description: 'what its calls are counted under, separated by commas', fields: words('tags') },
  ips: { flags: '--ips <ranges>', description: 'address ranges from which it is accepted', fields: words('ips') },
  expires: {
    flags: '--expires <date>',
    description: 'when it ends: 2027-01-31, or with a time and its zone',
    fields: text('expires_at'),
  },
  team: { flags: '--team <id>', description: 'its team', fields: text('team') },
  org: { flags: '--org <id>', description: 'its organisation', fields: text('org') },
  user: { flags: '--user <id>', description: 'the person it belongs to', fields: text('user') },
  email: { flags: '--email <address>', description: 'e-mail address', fields: text('email') },
  role: { flags: '--role <role>', description: 'in the whole installation: admin, viewer or none', fields: text('role') },
  rpm: { flags: '--rpm <number>', description: 'requests in any 60 seconds', fields: limit('rpm') },
  tpm: { flags: '--tpm <number>', description: 'tokens in any 60 seconds', fields: limit('tpm') },
  concurrent: { flags: '--concurrent <number>', description: 'requests at once', fields: limit('concurrent') },
  budget: {
    flags: '--budget <usd/window>',
    description: `USD per window, such as 50/month; windows: ${WINDOWS.join(', ')}`,
    fields: (value) => ({ budget: budgetOf(value) }),
  },
} as const satisfies Record<string, Flag>;
export type FlagName = keyof typeof FLAGS;

/** Adds the flags; what they become is in the command's options under `fields`. */
export function addFlags(command: Command, names: readonly FlagName[]): Command {
  for (const name of names) command.addOption(new Option(FLAGS[name].flags, FLAGS[name].description));
  return command;
}

/** Given flags as one body; `limits` of several flags are one. Throws CommandError. */
export function fieldsOf(options: Readonly<Record<string, unknown>>, names: readonly FlagName[]): Fields {
  const body: Fields = {};
  for (const name of names) {
    const value = options[name];
    if (typeof value !== 'string') continue;
    for (const [field, set] of Object.entries(FLAGS[name].fields(value) as Fields)) {
      body[field] = field === 'limits' ? { ...(body['limits'] as object | undefined), ...(set as object) } : set;
    }
  }
  return body;
}

function budgetOf(value: string): object {
  const [, usd, window = 'month'] = /^(\d+(?:\.\d+)?)(?:\/([a-z]+))?$/.exec(value) ?? [];
  if (usd === undefined || !WINDOWS.includes(window)) throw new CommandError(`--budget must look like 50/month, not ${value}`);
  return { limit_usd: Number(usd), window };
}

function wholeNumber(value: string): number {
  if (!/^\d{1,10}$/.test(value)) throw new CommandError(`${value} is not a whole number`);
  return Number(value);
}
