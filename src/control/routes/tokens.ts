/** Management tokens: a person's way to this API. They call no models. */
import * as z from 'zod';

import { text } from '../../config/schema-parts.ts';
import { dateProblem } from '../../config/values.ts';
import type { Token } from '../../store/ports/entities.ts';
import { ADMINS, type Access, type Holder, notThere } from '../contract/access.ts';
import type { Actor } from '../contract/actor.ts';
import { isoOf, isoTime, pageFrom, pageOf, pageQuery, pathId } from '../contract/fields.ts';
import type { Services } from '../contract/ports.ts';
import { type Done, readRoute, writeRoute } from '../contract/route.ts';
import { authorOf, name } from './entity-fields.ts';
import { userPlace } from './groups.ts';
import { late } from './resource.ts';

const view = z.object({
  id: z.string(),
  name: z.string(),
  user: z.string(),
  shown: z.string().describe('Enough of the secret to tell it from others.'),
  expires_at: isoTime.optional(),
  created_at: isoTime,
  created_by: z.string(),
});
const minted = view.extend({ token: z.string().describe('The secret. It is shown this once and kept nowhere.') });
const input = z.strictObject({ name, expires_at: text(dateProblem).exactOptional().describe('Absent: never.') });
type Input = z.output<typeof input>;

const userParams = z.strictObject({ user: pathId });
const tokenParams = z.strictObject({ user: pathId, token: pathId });
const OWNERS = [...ADMINS, 'owner'] as const satisfies Holder[];

/** A token is its person: who may not be somebody may not make a token for him. */
const access: Access<{ user: string }, Services> = {
  on: 'object',
  allow: OWNERS,
  see: [...OWNERS, 'viewer', 'org_admin', 'team_admin'],
  place: ({ user }, services) => userPlace(user, services),
};

export const tokenRoutes = [
  readRoute({
    path: '/admin/v1/users/{user}/tokens',
    summary: 'List a person’s management tokens',
    tag: 'tokens',
    access,
    params: userParams,
    query: z.strictObject(pageQuery),
    answer: { status: 200, schema: pageOf(view) },
    handle: ({ params, query, services }) => list(params.user, query, services),
  }),
  writeRoute({
    method: 'POST',
    path: '/admin/v1/users/{user}/tokens',
    summary: 'Mint a management token for a person; it has all his rights, as they are at each use',
    tag: 'tokens',
    access,
    params: userParams,
    body: input,
    answer: { status: 201, schema: minted },
    audit: 'token.create',
    handle: ({ actor, params, body, services }) => create(actor, params.user, body, services),
  }),
  writeRoute({
    method: 'DELETE',
    path: '/admin/v1/users/{user}/tokens/{token}',
    summary: 'Revoke a management token',
    tag: 'tokens',
    access,
    params: tokenParams,
    answer: { status: 200, schema: view },
    audit: 'token.delete',
    handle: ({ params, services }) => remove(params.user, params.token, services),
  }),
  readRoute({
    path: '/admin/v1/me/tokens',
    summary: 'List your own management tokens',
    tag: 'me',
    access: { on: 'people' },
    query: z.strictObject(pageQuery),
    answer: { status: 200, schema: pageOf(view) },
    handle: ({ actor, query, services }) => list(authorOf(actor), query, services),
  }),
  writeRoute({
    method: 'POST',
    path: '/admin/v1/me/tokens',
    summary: 'Mint a management token for yourself',
    tag: 'me',
    access: { on: 'people' },
    body: input,
    answer: { status: 201, schema: minted },
    audit: 'token.create',
    handle: ({ actor, body, services }) => create(actor, authorOf(actor), body, services),
  }),
  writeRoute({
    method: 'DELETE',
    path: '/admin/v1/me/tokens/{token}',
    summary: 'Revoke one of your own management tokens',
    tag: 'me',
    access: { on: 'people' },
    params: z.strictObject({ token: pathId }),
    answer: { status: 200, schema: view },
    audit: 'token.delete',
    handle: ({ actor, params, services }) => remove(authorOf(actor), params.token, services),
  }),
];

type View = z.input<typeof view>;

async function list(
  user: string,
  { after, limit }: { after?: string; limit: number },
  { directory }: Services,
): Promise<{ body: { data: View[]; next: string | null } }> {
  const rows = await directory.tokens.list({ user, afterId: after, limit: limit + 1 });
  const { page, next } = pageFrom(rows, limit, ({ id }) => id);
  return { body: { data: page.map(viewOf), next } };
}

async function create(
  actor: Actor,
  user: string,
  { name, expires_at }: Input,
  { directory }: Services,
): Promise<Done<View & { token: string }>> {
  const wanted = { user, name, ...(expires_at !== undefined && { expiresAtMs: Date.parse(expires_at) }) };
  const { after, secret, inForce } = await directory.tokens.create(wanted, authorOf(actor));
  return {
    body: { ...viewOf(after), token: secret },
    change: { target: `token:${after.id}`, after: viewOf(after) },
    ...late(inForce),
  };
}

async function remove(user: string, id: string, { directory }: Services): Promise<Done<View>> {
  const token = await directory.tokens.get(id);
  if (token?.principal !== user) throw notThere();
  const { before, inForce } = await directory.tokens.remove(id);
  return { body: viewOf(before), change: { target: `token:${id}`, before: viewOf(before) }, ...late(inForce) };
}

function viewOf({ id, name, principal, shown, expiresAtMs, createdAtMs, createdBy }: Token): View {
  return {
    id,
    name,
    user: principal,
    shown,
    expires_at: expiresAtMs === undefined ? undefined : isoOf(expiresAtMs),
    created_at: isoOf(createdAtMs),
    created_by: createdBy,
  };
}
