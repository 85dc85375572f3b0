/** `signalbox keys | teams | orgs | users | service-accounts`: the same actions on each, over the admin API. */
import type { Command } from 'commander';

import { type Act, commandOf, manages } from './admin-command.ts';
import { type FlagName, addFlags, fieldsOf, withLimitsOf, withoutNone } from './entity-flags.ts';
import type { CliIo } from './io.ts';
import { type Row, printJson, printRecord, printTable } from './print.ts';

interface Entity {
  plural: 'keys' | 'teams' | 'orgs' | 'users' | 'service-accounts';
  /** With its article. */
  noun: string;
  columns: readonly string[];
  create: readonly FlagName[];
  update: readonly FlagName[];
  filters: readonly FlagName[];
  /** What a member of it may be. */
  memberRoles?: string;
}

const RULES = ['rpm', 'tpm', 'concurrent', 'budget'] as const;

const ENTITIES: readonly Entity[] = [
  {
    plural: 'keys',
    noun: 'a key',
    columns: ['id', 'name', 'shown', 'source', 'user', 'team', 'models', 'expires_at', 'blocked'],
    create: ['models', 'user', 'serviceAccount', 'team', 'org', 'parent', 'task', 'tags', 'ips', 'expires', 'priority', ...RULES],
    update: ['name', 'models', 'tags', 'ips', 'expires', 'priority', ...RULES],
    filters: ['user', 'team', 'org'],
  },
  {
    plural: 'teams',
    noun: 'a team',
    columns: ['id', 'name', 'org', 'models', 'blocked'],
    create: ['org', 'models', ...RULES],
    update: ['name', 'models', ...RULES],
    filters: ['org'],
    memberRoles: 'team_admin or member',
  },
  {
    plural: 'orgs',
    noun: 'an organisation',
    columns: ['id', 'name', 'models', 'blocked'],
    create: ['models', ...RULES],
    update: ['name', 'models', ...RULES],
    filters: [],
    memberRoles: 'org_admin or member',
  },
  {
    plural: 'users',
    noun: 'a user',
    columns: ['id', 'name', 'email', 'role', 'blocked'],
    create: ['email', 'role', 'models', ...RULES],
    update: ['name', 'email', 'role', 'models', ...RULES],
    filters: [],
  },
  {
    plural: 'service-accounts',
    noun: 'a service account',
    columns: ['id', 'name', 'team', 'org', 'models', 'blocked'],
    create: ['team', 'models', ...RULES],
    update: ['name', 'models', ...RULES],
    filters: ['team'],
  },
];

export function addEntityCommands(program: Command, io: CliIo): void {
  for (const entity of ENTITIES) {
    const group = program.command(entity.plural).description(`${entity.plural.replace('-', ' ')} of a running server`);
    addReading(group, entity, io);
    addWriting(group, entity, io);
    if (entity.plural === 'keys') addRotation(group, io);
    addBlocking(group, entity, io);
    if (entity.memberRoles !== undefined) addMembers(group, entity, entity.memberRoles, io);
  }
}

function addReading(group: Command, { plural, noun, columns, filters }: Entity, io: CliIo): void {
  const list = commandOf(group, 'list', `list ${plural.replace('-', ' ')}`).option('--search <text>', 'part of the name');
  manages(addFlags(list, filters), io, async ({ client, options, json }) => {
    const query = { ...(fieldsOf(options, filters) as Record<string, string>), search: options['search'] as string | undefined };
    const rows = await client.list<Row>(`/${plural}`, query);
    if (json) printJson({ data: rows }, io);
    else printTable(rows, columns, io);
  });
  const show = commandOf(group, 'show', `show ${noun}`).argument('<id>');
  manages(show, io, async ({ client, args: [id = ''], json }) => {
    shown(await client.json<Row>('GET', one(plural, id)), json, io);
  });
}

function addWriting(group: Command, { plural, noun, create, update }: Entity, io: CliIo): void {
  const make = commandOf(group, 'create', `make ${noun}; prints it`).argument('<name>');
  manages(addFlags(make, create), io, async ({ client, args: [name], options, json }) => {
    const fields = withoutNone(withLimitsOf(fieldsOf(options, create), {}));
    shown(await client.json<Row>('POST', `/${plural}`, { body: { name, ...fields } }), json, io);
  });
  const change = commandOf(group, 'update', `change ${noun}: what is not given stays`).argument('<id>');
  manages(addFlags(change, update), io, async ({ client, args: [id = ''], options, json }) => {
    const fields = fieldsOf(options, update);
    const body = fields['limits'] === undefined ? fields : withLimitsOf(fields, await client.json<Row>('GET', one(plural, id)));
    shown(await client.json<Row>('PATCH', one(plural, id), { body }), json, io);
  });
  const remove = commandOf(group, 'delete', `remove ${noun}`).argument('<id>');
  manages(remove, io, async ({ client, args: [id = ''], json }) => {
    const gone = await client.json<Row>('DELETE', one(plural, id));
    if (json) printJson(gone, io);
    else io.out(`removed ${String(gone['id'])}\n`);
  });
}

function addRotation(group: Command, io: CliIo): void {
  const rotate = commandOf(group, 'rotate', 'give a key a new secret; prints it').argument('<id>');
  rotate.option('--grace <seconds>', 'for so long the old secret holds too', '0');
  manages(rotate, io, async ({ client, args: [id = ''], options, json }) => {
    const body = { grace_s: Number(options['grace']) };
    shown(await client.json<Row>('POST', `${one('keys', id)}/rotate`, { body }), json, io);
  });
}

function addBlocking(group: Command, { plural, noun }: Entity, io: CliIo): void {
  for (const action of ['block', 'unblock']) {
    const command = commandOf(group, action, `${action} ${noun}`).argument('<id>');
    manages(command, io, async ({ client, args: [id = ''], json }) => {
      const blocked = { body: { blocked: action === 'block' } };
      const changed =
        plural === 'keys'
          ? await client.json<Row>('POST', `${one(plural, id)}/${action}`)
          : await client.json<Row>('PATCH', one(plural, id), blocked);
      shown(changed, json, io);
    });
  }
}

function addMembers(group: Command, { plural, noun }: Entity, roles: string, io: CliIo): void {
  const list = commandOf(group, 'members', `list the members of ${noun}`).argument('<id>');
  manages(list, io, async ({ client, args: [id = ''], json }) => {
    const rows = await client.list<Row>(`${one(plural, id)}/members`);
    if (json) printJson({ data: rows }, io);
    else printTable(rows, ['user', 'role'], io);
  });
  const add = commandOf(group, 'add', `add a member to ${noun}, or change the role`).arguments('<id> <user>');
  add.option('--role <role>', roles, 'member');
  manages(add, io, member('PUT', plural, io));
  manages(commandOf(group, 'remove', `take a member out of ${noun}`).arguments('<id> <user>'), io, member('DELETE', plural, io));
}

function member(method: 'PUT' | 'DELETE', plural: string, io: CliIo): Act {
  return async ({ client, args: [id = '', user = ''], options, json }) => {
    const body = method === 'PUT' ? { role: String(options['role']) } : {};
    shown(await client.json<Row>(method, `${one(plural, id)}/members/${encodeURIComponent(user)}`, { body }), json, io);
  };
}

function one(plural: string, id: string): string {
  return `/${plural}/${encodeURIComponent(id)}`;
}

function shown(record: Row, json: boolean, io: CliIo): void {
  if (json) printJson(record, io);
  else printRecord(record, io);
}
