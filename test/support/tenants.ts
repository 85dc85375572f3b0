/** A running Signalbox with two tenants that have the same things, and everybody who could try something. */
import { setTimeout as sleep } from 'node:timers/promises';

import { type Asked, type Reply, ask, jsonOf } from './ask.ts';
import { type Signalbox, startSignalbox } from './signalbox.ts';

const ADMIN_KEY = 'admin-key-zyxwvutsrq-0123456789';
const FILE_KEY = 'file-key-abcdefghij-0123456789';

const CONFIG = `
server: { workers: 1 }
providers: { lab: { type: openai-compatible, base_url: "http://127.0.0.1:9/v1", api_key: none } }
models: [{ name: gpt, targets: [{ provider: lab, model: x, price: free }] }]
keys: [{ name: filed, key: "\${env:FILE_KEY}" }]
admin: { key: "\${env:ADMIN_KEY}" }
`;

/** Ids by the names that paths have for them. */
export type Objects = Record<'org' | 'team' | 'user' | 'service_account' | 'key' | 'token', string>;

export interface Tenant extends Objects {
  /** Management tokens. */
  orgAdmin: string;
  teamAdmin: string;
  member: string;
  /** In the organisation, in no team. */
  orgMember: string;
  /** The member's own key for models, and the same key's id as `key`. */
  inferenceKey: string;
}

export interface Tenants {
  box: Signalbox;
  a: Tenant;
  b: Tenant;
  root: string;
  fileKey: string;
  /** Of people with a role in the whole installation. */
  admin: string;
  viewer: string;
  call: (method: string, path: string, credential?: string, asked?: Asked) => Promise<Reply>;
  /** As root; throws unless it succeeds. */
  make: (method: string, path: string, body?: object) => Promise<Record<string, string>>;
}

export async function startTenants(): Promise<Tenants> {
  const box = await startSignalbox({ config: CONFIG, env: { ADMIN_KEY, FILE_KEY } });
  const call: Tenants['call'] = (method, path, credential, asked = {}) => {
    const authorization = credential === undefined ? {} : { authorization: `Bearer ${credential}` };
    return ask(box.url + path, { ...asked, method: method as 'GET', headers: { ...authorization, ...asked.headers } });
  };
  const make: Tenants['make'] = async (method, path, body) => {
    const reply = await call(method, `/admin/v1${path}`, ADMIN_KEY, body === undefined ? {} : { body });
    if (reply.status >= 300) throw new Error(`${method} ${path}: ${reply.status} ${reply.text}`);
    return jsonOf(reply) as Record<string, string>;
  };
  const person = async (name: string, more: object = {}): Promise<{ id: string; token: string }> => {
    const { id = '' } = await make('POST', '/users', { name, email: `${name}@example.com`, ...more });
    const { token = '' } = await make('POST', `/users/${id}/tokens`, { name: 'matrix' });
    return { id, token };
  };
  const tenant = async (name: string): Promise<Tenant> => {
    const { id: org = '' } = await make('POST', '/orgs', { name });
    const { id: team = '' } = await make('POST', '/teams', { name: `${name}-team`, org });
    const [orgAdmin, teamAdmin, member, orgMember] = [
      await person(`${name}-org-admin`),
      await person(`${name}-team-admin`),
      await person(`${name}-member`),
      await person(`${name}-org-member`),
    ];
    await make('PUT', `/orgs/${org}/members/${orgAdmin.id}`, { role: 'org_admin' });
    await make('PUT', `/orgs/${org}/members/${orgMember.id}`, {});
    await make('PUT', `/teams/${team}/members/${teamAdmin.id}`, { role: 'team_admin' });
    await make('PUT', `/teams/${team}/members/${member.id}`, {});
    const { id: service_account = '' } = await make('POST', '/service-accounts', { name: 'bot', team });
    const { id: key = '', key: inferenceKey = '' } = await make('POST', '/keys', { name: 'mine', team, user: member.id });
    const { id: token = '' } = await make('POST', `/users/${member.id}/tokens`, { name: 'second' });
    const tokens = { orgAdmin: orgAdmin.token, teamAdmin: teamAdmin.token, member: member.token, orgMember: orgMember.token };
    return { org, team, user: member.id, service_account, key, token, inferenceKey, ...tokens };
  };
  const [admin, viewer] = [await person('admin', { role: 'admin' }), await person('viewer', { role: 'viewer' })];
  const [a, b] = [await tenant('acme'), await tenant('other')];
  return { box, a, b, root: ADMIN_KEY, fileKey: FILE_KEY, admin: admin.token, viewer: viewer.token, call, make };
}

/** Tokens that were good once, or never. */
export async function badTokens({ box, make }: Tenants): Promise<Record<string, string>> {
  const { id: gone = '' } = await make('POST', '/users', { name: 'blocked' });
  const { token: blocked = '' } = await make('POST', `/users/${gone}/tokens`, { name: 't' });
  const { id: leaver = '' } = await make('POST', '/users', { name: 'removed' });
  const { token: removed = '' } = await make('POST', `/users/${leaver}/tokens`, { name: 't' });
  const { id: person = '' } = await make('POST', '/users', { name: 'revoked', role: 'admin' });
  const { id: revokedId = '', token: revoked = '' } = await make('POST', `/users/${person}/tokens`, { name: 't' });
  const inASecond = new Date(Date.now() + 1_000).toISOString();
  const { token: expired = '' } = await make('POST', `/users/${person}/tokens`, { name: 'short', expires_at: inASecond });
  const { token: good = '' } = await make('POST', `/users/${person}/tokens`, { name: 'good' });
  await make('PATCH', `/users/${gone}`, { blocked: true });
  await make('DELETE', `/users/${leaver}`);
  await make('DELETE', `/users/${person}/tokens/${revokedId}`);
  await sleep(1_100);
  return {
    malformed: 'x',
    'bad checksum': `${good.slice(0, -1)}${good.endsWith('a') ? 'b' : 'a'}`,
    unknown: 'sk-sb-admin-' + 'A'.repeat(49),
    revoked,
    expired,
    'owner blocked': blocked,
    'owner removed': removed,
    'the stored hash': await storedDigest(box),
  };
}

async function storedDigest(box: Signalbox): Promise<string> {
  const { DatabaseSync } = await import('node:sqlite');
  const db = new DatabaseSync(`${box.dataDir}/store.db`, { readOnly: true });
  try {
    return String(db.prepare('select digest from entity_digests limit 1').get()?.digest);
  } finally {
    db.close();
  }
}
