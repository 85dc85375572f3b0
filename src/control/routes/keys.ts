/** Virtual keys: minted, imported by their hash, listed, changed, rotated, blocked, removed. Those of the file are shown and changed nowhere but there. */
import * as z from 'zod';

import { GatewayError } from '../../core/errors.ts';
import type { KeyEntry } from '../../core/directory.ts';
import { type Access, ADMINS, holdsAt, notThere } from '../contract/access.ts';
import type { Actor } from '../contract/actor.ts';
import { requireBounded } from '../contract/bounds.ts';
import { pageFrom, pageOf, pageQuery, pathId } from '../contract/fields.ts';
import { invalidInput } from '../contract/input.ts';
import type { Services } from '../contract/ports.ts';
import { type Call, type Done, readRoute, writeRoute } from '../contract/route.ts';
import { isShadowed } from '../directory/keys.ts';
import { KEY_LEADERS, KEY_READERS, OWN_CHANGES, findKey, keyPlace, requireMayMint, requirePriority } from '../key-rights.ts';
import { fillSpent } from '../spent.ts';
import { authorOf, requireWritable } from './entity-fields.ts';
import { withinLed } from './groups.ts';
import { type KeyInputBody, importInput, keyInput, keyPatch, rotation, toKeyInput, toKeyPatch } from './key-input.ts';
import { type KeyView, filedKeyView, keyView, mintedView, placeOfKey, storedKeyView } from './key-view.ts';
import { late } from './resource.ts';

const params = z.strictObject({ key: pathId });
type Params = z.output<typeof params>;

const place = ({ key }: Params, services: Services) => keyPlace(key, services);
const readers: Access<Params, Services> = { on: 'object', allow: KEY_READERS, see: KEY_READERS, place };
const writers: Access<Params, Services> = { on: 'object', allow: [...KEY_LEADERS, 'owner'], see: KEY_READERS, place };
const leaders: Access<Params, Services> = { on: 'object', allow: KEY_LEADERS, see: KEY_READERS, place };

const text = z.string().max(256).exactOptional();

export const keyRoutes = [
  readRoute({
    path: '/admin/v1/keys',
    summary: 'List the keys that you may see: those of the file first, then the others in the order they were made',
    tag: 'keys',
    access: { on: 'anyone' },
    query: z.strictObject({
      ...pageQuery,
      search: z.string().max(128).exactOptional(),
      org: text,
      team: text,
      user: text,
      service_account: text,
      parent: text,
    }),
    answer: { status: 200, schema: pageOf(keyView) },
    handle: async ({ actor, query: { user, service_account, ...query }, services }) => ({
      body: await listKeys(actor, { ...query, ...given({ principal: service_account ?? user }) }, services),
    }),
  }),
  writeRoute({
    method: 'POST',
    path: '/admin/v1/keys',
    summary: 'Mint a key; its secret is in the answer and nowhere else',
    tag: 'keys',
    access: { on: 'anyone' },
    body: keyInput,
    answer: { status: 201, schema: mintedView },
    audit: 'key.create',
    handle: mint,
  }),
  writeRoute({
    method: 'POST',
    path: '/admin/v1/keys/import',
    summary: 'Take over keys that exist elsewhere, by the SHA-256 of their secrets',
    tag: 'keys',
    access: { on: 'installation', allow: ADMINS },
    body: importInput,
    answer: {
      status: 200,
      schema: z.object({
        imported: z.array(z.object({ index: z.int(), id: z.string() })),
        refused: z.array(z.object({ index: z.int(), message: z.string() })),
      }),
    },
    audit: 'key.import',
    handle: importKeys,
  }),
  readRoute({
    path: '/admin/v1/keys/{key}',
    summary: 'Show a key',
    tag: 'keys',
    access: readers,
    params,
    answer: { status: 200, schema: keyView },
    handle: async ({ params, services }) => {
      const found = await findKey(params.key, services);
      if (found === undefined) throw notThere();
      const view = 'filed' in found ? filedKeyView(found.filed) : storedKeyView(found.stored, viewed(found.stored, services));
      await fillSpent([{ scope: `key:${view.id}`, budgets: view.budgets }], {
        ledger: services.store.ledger,
        nowMs: services.nowMs(),
      });
      return { body: view };
    },
  }),
  writeRoute({
    method: 'PATCH',
    path: '/admin/v1/keys/{key}',
    summary: 'Change a key; fields that are absent stay as they are',
    tag: 'keys',
    access: writers,
    params,
    body: keyPatch,
    answer: { status: 200, schema: keyView },
    audit: 'key.update',
    handle: async ({ actor, params, body, services }) => {
      const key = await storedKey(params.key, services);
      const place = placeOfKey(key);
      requireWritable(actor, place, body, { all: KEY_LEADERS, some: OWN_CHANGES });
      requirePriority(actor, body);
      const patch = toKeyPatch(body);
      await requireBounded(services.store.entities, actor, place, patch);
      return changed(await services.directory.keys.update(params.key, patch), services);
    },
  }),
  writeRoute({
    method: 'DELETE',
    path: '/admin/v1/keys/{key}',
    summary: 'Remove a key, with all keys that descend from it',
    tag: 'keys',
    access: writers,
    params,
    answer: { status: 200, schema: keyView },
    audit: 'key.delete',
    handle: async ({ params, services }) => {
      await storedKey(params.key, services);
      const { before, inForce } = await services.directory.keys.remove(params.key);
      const view = storedKeyView(before, viewed(before, services));
      return { body: view, change: { target: `key:${before.id}`, before: view }, ...late(inForce) };
    },
  }),
  writeRoute({
    method: 'POST',
    path: '/admin/v1/keys/{key}/rotate',
    summary: 'Give a key a new secret; the old one may hold for a while',
    tag: 'keys',
    access: writers,
    params,
    body: rotation,
    answer: { status: 200, schema: mintedView },
    audit: 'key.rotate',
    handle: async ({ params, body, services }) => {
      await storedKey(params.key, services);
      const rotated = await services.directory.keys.rotate(params.key, body.grace_s);
      const { body: view, ...rest } = changed(rotated, services);
      return { ...rest, body: { ...view, key: rotated.secret } };
    },
  }),
  writeRoute({
    method: 'POST',
    path: '/admin/v1/keys/{key}/block',
    summary: 'Refuse a key from now on',
    tag: 'keys',
    access: writers,
    params,
    answer: { status: 200, schema: keyView },
    audit: 'key.block',
    handle: ({ params, services }) => setBlocked(params.key, true, services),
  }),
  writeRoute({
    method: 'POST',
    path: '/admin/v1/keys/{key}/unblock',
    summary: 'Accept a key again',
    tag: 'keys',
    access: leaders,
    params,
    answer: { status: 200, schema: keyView },
    audit: 'key.unblock',
    handle: ({ params, services }) => setBlocked(params.key, false, services),
  }),
];

type Minted = KeyView & { key: string };

/** For `/keys` and `/me/keys`. */
export async function mint({
  actor,
  body,
  services,
}: Pick<Call<unknown, unknown, KeyInputBody>, 'actor' | 'body' | 'services'>): Promise<Done<Minted>> {
  await requireMayMint(actor, body, services);
  try {
    const { after, secret, inForce } = await services.directory.keys.create(toKeyInput(body), authorOf(actor));
    const view = storedKeyView(after, viewed(after, services));
    return { body: { ...view, key: secret }, change: { target: `key:${after.id}`, after: view }, ...late(inForce) };
  } catch (error) {
    throw inOurWords(error, body);
  }
}

/** The directory knows one field for people and service accounts. */
function inOurWords(error: unknown, { service_account }: KeyInputBody): unknown {
  if (!(error instanceof GatewayError) || error.details.param !== 'principal') return error;
  const noun = service_account === undefined ? 'user' : 'service_account';
  return invalidInput([{ param: noun, message: 'names nobody who belongs there' }]);
}

interface KeyQuery {
  after?: string;
  limit: number;
  search?: string;
  org?: string;
  team?: string;
  principal?: string;
  parent?: string;
}

/** Cursors of keys of the file begin so; ids of the store never do. */
const FILED = 'file/';

export async function listKeys(
  actor: Actor,
  query: KeyQuery,
  services: Services,
): Promise<{ data: KeyView[]; next: string | null }> {
  const { after, limit, ...where } = query;
  const filed = after === undefined || after.startsWith(FILED) ? filedKeys(actor, query, services) : [];
  const missing = limit + 1 - filed.length;
  const afterId = after?.startsWith(FILED) === true ? undefined : after;
  const stored =
    missing <= 0
      ? []
      : await services.directory.keys.list({ ...where, ...given({ afterId }), limit: missing, within: withinLed(actor) });
  const views = [...filed.map(filedKeyView), ...stored.map((key) => storedKeyView(key, viewed(key, services)))];
  const { page, next } = pageFrom(views, limit, ({ id, source }) => (source === 'file' ? FILED + id : id));
  const scoped = page.map(({ id, budgets }) => ({ scope: `key:${id}` as const, budgets }));
  await fillSpent(scoped, { ledger: services.store.ledger, nowMs: services.nowMs() });
  return { data: page, next };
}

function filedKeys(actor: Actor, { after, limit, search, ...where }: KeyQuery, { snapshot }: Services): KeyEntry[] {
  const fits = (key: KeyEntry): boolean =>
    (after === undefined || FILED + key.id > after) &&
    key.name.toLowerCase().includes((search ?? '').toLowerCase()) &&
    Object.entries(where).every(([field, value]) => key[field as 'team'] === value) &&
    holdsAt(actor, placeOfKey(key), KEY_READERS);
  const keys = snapshot().keys.filter(fits);
  return keys.toSorted((a, b) => (a.id < b.id ? -1 : 1)).slice(0, limit + 1);
}

async function importKeys({ actor, body, services }: Call<unknown, unknown, z.output<typeof importInput>>) {
  const imported: { index: number; id: string }[] = [];
  const refused: { index: number; message: string }[] = [];
  for (const [index, { sha256, ...input }] of body.keys.entries()) {
    try {
      const { after } = await services.directory.keys.import({ ...toKeyInput(input), sha256 }, authorOf(actor));
      imported.push({ index, id: after.id });
    } catch (error) {
      // What fails for a key's own sake concerns none of the others.
      if (!(error instanceof GatewayError)) throw error;
      refused.push({ index, message: error.message });
    }
  }
  const ids = imported.map(({ id }) => id);
  return { body: { imported, refused }, change: { target: 'keys', after: { imported: ids, refused: refused.length } } };
}

async function setBlocked(id: string, blocked: boolean, services: Services): Promise<Done<KeyView>> {
  await storedKey(id, services);
  return changed(await services.directory.keys.update(id, { blocked }), services);
}

type Stored = Extract<NonNullable<Awaited<ReturnType<typeof findKey>>>, { stored: unknown }>['stored'];

async function storedKey(id: string, services: Services): Promise<Stored> {
  const found = await findKey(id, services);
  if (found === undefined) throw notThere();
  if ('stored' in found) return found.stored;
  throw new GatewayError('conflict', { details: { message: 'This key stands in the configuration file; change it there' } });
}

function changed({ before, after, inForce }: { before: Stored; after: Stored; inForce: boolean }, services: Services) {
  const view = storedKeyView(after, viewed(after, services));
  const change = { target: `key:${after.id}`, before: storedKeyView(before, viewed(before, services)), after: view };
  return { body: view, change, ...late(inForce) };
}

function viewed(key: Stored, { snapshot, nowMs }: Services) {
  return { shadowed: isShadowed(key, snapshot()), nowMs: nowMs() };
}

/** Without the members that are undefined. */
function given<T extends object>(members: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never;
}
