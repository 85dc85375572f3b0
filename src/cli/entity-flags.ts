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

/** Takes away what stands there. */
const NONE = 'none';

const text = (field: string) => (value: string) => ({ [field]: value });
const words = (field: string) => (value: string) => ({ [field]: value.split(',').map((each) => each.trim()) });
const limit = (field: string) => (value: string) => ({ limits: { [field]: value === NONE ? null : wholeNumber(field, value) } });
const orNone =
  (field: string, given: (value: string) => Fields, none: null | [] = null) =>
  (value: string): Fields =>
    value === NONE ? { [field]: none } : given(value);

export const FLAGS = {
  name: { flags: '--name <text>', description: 'another name', fields: text('name') },
  models: {
    flags: '--models <names>',
    description: 'models it may use: names, prefix*, *; separated by commas',
    fields: words('models'),
  },
  tags: {
    flags: '--tags <tags>',
    description: 'what its calls are counted under, separated by commas, or none',
    fields: orNone('tags', words('tags'), []),
  },
  ips: {
    flags: '--ips <ranges>',
    description: 'address ranges from which it is accepted, separated by commas; none: from anywhere',
    fields: orNone('ips', words('ips')),
  },
  expires: {
    flags: '--expires <date>',
    description: 'when it ends: 2027-01-31, or with a time and its zone; none: never',
    fields: orNone('expires_at', text('expires_at')),
  },
  team: { flags: '--team <id>', description: 'its team', fields: text('team') },
  org: { flags: '--org <id>', description: 'its organisation', fields: text('org') },
  user: { flags: '--user <id>', description: 'the person it belongs to', fields: text('user') },
  serviceAccount: {
    flags: '--service-account <id>',
    description: 'the service account it belongs to',
    fields: text('service_account'),
  },
  parent: { flags: '--parent <id>', description: 'the key it descends from, and whose bounds it has', fields: text('parent') },
  task: { flags: '--task <text>', description: 'what a child is for', fields: text('task') },
  priority: { flags: '--priority <class>', description: 'high, normal or low', fields: text('priority') },
  email: { flags: '--email <address>', description: 'e-mail address', fields: text('email') },
  role: { flags: '--role <role>', description: 'in the whole installation: admin, viewer or none', fields: text('role') },
  rpm: { flags: '--rpm <number>', description: 'requests in any 60 seconds, or none', fields: limit('rpm') },
  tpm: { flags: '--tpm <number>', description: 'tokens in any 60 seconds, or none', fields: limit('tpm') },
  concurrent: { flags: '--concurrent <number>', description: 'requests at once, or none', fields: limit('concurrent') },
  budget: {
    flags: '--budget <usd/window>',
    description: `USD per window, such as 50/month, in the place of all its budgets, or none; windows: ${WINDOWS.join(', ')}`,
    fields: orNone('budget', (value) => ({ budget: budgetOf(value) })),
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

/** `limits` are one field of the API: those that no flag names stay as the record has them. */
export function withLimitsOf(body: Fields, record: Readonly<Record<string, unknown>>): Fields {
  if (body['limits'] === undefined) return body;
  const merged = withoutNone({ ...(record['limits'] as Fields | undefined), ...(body['limits'] as Fields) });
  return { ...body, limits: Object.keys(merged).length === 0 ? null : merged };
}

/** For what is made: there is nothing to take away. */
export function withoutNone(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

function budgetOf(value: string): object {
  const [, usd, window = 'month'] = /^(\d+(?:\.\d+)?)(?:\/([a-z]+))?$/.exec(value) ?? [];
  if (usd === undefined || !WINDOWS.includes(window)) throw new CommandError(`--budget must look like 50/month, not ${value}`);
  return { limit_usd: Number(usd), window };
}

function wholeNumber(flag: string, value: string): number {
  if (!/^\d{1,10}$/.test(value)) throw new CommandError(`--${flag} must be a whole number or none, not ${value}`);
  return Number(value);
}
