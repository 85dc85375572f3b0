/** The five routes of organisations, teams, people and service accounts: made, listed, shown, changed, removed alike. */
import * as z from 'zod';

import { GatewayError } from '../../core/errors.ts';
import type { EntityQuery } from '../../store/ports/entities.ts';
import { type Access, type Holder, type Place, holdersAt, holdsAt, notThere } from '../contract/access.ts';
import type { Actor } from '../contract/actor.ts';
import { requireBounded } from '../contract/bounds.ts';
import { pageFrom, pageOf, pageQuery, pathId } from '../contract/fields.ts';
import { invalidInput } from '../contract/input.ts';
import type { Services } from '../contract/ports.ts';
import { type AdminRoute, readRoute, writeRoute } from '../contract/route.ts';
import type { Ruled } from '../directory/entries.ts';
import type { GroupOf } from '../directory/groups.ts';
import { fillSpent } from '../spent.ts';
import { type CommonView, authorOf, commonPatch, requireWritable, withPatchedRules, withRules } from './entity-fields.ts';

export interface Resource<Entity extends Ruled> {
  /** Section and last part of the path: `teams`. */
  plural: string;
  /** The parameter that names one, and its kind in the audit log. */
  param: string;
  /** With its article. */
  noun: string;
  /** Fields of an input that may be chosen once. */
  create: z.ZodObject;
  /** Fields that may be changed, beside the common ones. */
  patch?: z.ZodRawShape;
  view: z.ZodObject;
  viewOf: (entity: Entity) => CommonView;
  /** Columns that a list can be narrowed by. */
  filters: readonly ('org' | 'team')[];
  of: (services: Services) => GroupOf<Entity, never, never>;
  placeOf: (entity: Entity, services: Services) => Place | Promise<Place>;
  /** Where a new one would stand. */
  newPlace: (input: Readonly<Record<string, unknown>>, services: Services) => Place | Promise<Place>;
  within: (actor: Actor, services: Services) => EntityQuery['within'] | Promise<EntityQuery['within']>;
  may: Record<'create' | 'see' | 'update' | 'remove', readonly Holder[]>;
  /** Who may write every field, and what the others of `update` may. */
  writable: { all: readonly Holder[]; some: readonly string[] };
}

export function resourceRoutes<Entity extends Ruled>(resource: Resource<Entity>): AdminRoute[] {
  const { plural, param, may } = resource;
  const path = `/admin/v1/${plural}` as const;
  const idOf = (params: unknown): string => (params as Record<string, string>)[param] ?? '';
  const parts: Parts<Entity> = {
    resource,
    path,
    one: `${path}/{${param}}`,
    params: z.strictObject({ [param]: pathId }),
    idOf,
    on: (allow) => ({ on: 'object', allow, see: may.see, place: placeIn(resource, idOf) }),
  };
  return [listRoute(parts), createRoute(parts), showRoute(parts), changeRoute(parts), removeRoute(parts)];
}

interface Parts<Entity extends Ruled> {
  resource: Resource<Entity>;
  path: `/${string}`;
  one: `/${string}`;
  params: z.ZodObject;
  idOf: (params: unknown) => string;
  on: (allow: readonly Holder[]) => Access<unknown, Services>;
}

function listRoute<Entity extends Ruled>({ resource, path }: Parts<Entity>): AdminRoute {
  const { plural, view, viewOf, of, within } = resource;
  const filters = Object.fromEntries(resource.filters.map((column) => [column, z.string().max(256).exactOptional()]));
  return readRoute({
    path,
    summary: `List ${plural.replace('-', ' ')} that you may see, in the order they were made`,
    tag: plural,
    access: { on: 'anyone' },
    query: z.strictObject({
      ...pageQuery,
      search: z.string().max(128).exactOptional().describe('Part of the name.'),
      ...filters,
    }),
    answer: { status: 200, schema: pageOf(view) },
    handle: async ({ actor, services, query: { after, limit, search, ...columns } }) => {
      const narrowed = columns as Partial<Record<'org' | 'team', string>>;
      const rows = await of(services).list({
        ...narrowed,
        afterId: after,
        limit: limit + 1,
        search,
        within: await within(actor, services),
      });
      const { page, next } = pageFrom(rows, limit, ({ id }) => id);
      return { body: { data: await withSpent(page, viewOf, services), next } };
    },
  });
}

function createRoute<Entity extends Ruled>({ resource, path }: Parts<Entity>): AdminRoute {
  const { plural, param, noun, view, viewOf, of, may } = resource;
  return writeRoute({
    method: 'POST',
    path,
    summary: `Make ${noun}`,
    tag: plural,
    access: { on: 'anywhere', allow: may.create },
    body: resource.create,
    answer: { status: 201, schema: view },
    audit: `${param}.create`,
    handle: async ({ actor, services, body }) => {
      const place = await resource.newPlace(body, services);
      requirePlace(actor, place, may.create);
      const input = withRules(body);
      await requireBounded(services.store.entities, actor, place, input);
      const { after, inForce } = await of(services).create(input as never, authorOf(actor));
      return { body: viewOf(after), change: { target: `${param}:${after.id}`, after: viewOf(after) }, ...late(inForce) };
    },
  });
}

function showRoute<Entity extends Ruled>({ resource, one, params, idOf, on }: Parts<Entity>): AdminRoute {
  const { plural, noun, view, viewOf, of, may } = resource;
  return readRoute({
    path: one,
    summary: `Show ${noun}`,
    tag: plural,
    access: on(may.see),
    params,
    answer: { status: 200, schema: view },
    handle: async ({ services, params }) => {
      const [body] = await withSpent([await existing(of(services), idOf(params))], viewOf, services);
      return { body: body! };
    },
  });
}

function changeRoute<Entity extends Ruled>({ resource, one, params, idOf, on }: Parts<Entity>): AdminRoute {
  const { plural, param, noun, view, viewOf, of, may } = resource;
  return writeRoute({
    method: 'PATCH',
    path: one,
    summary: `Change ${noun}; fields that are absent stay as they are`,
    tag: plural,
    access: on(may.update),
    params,
    body: z.strictObject({ ...commonPatch, ...resource.patch }),
    answer: { status: 200, schema: view },
    audit: `${param}.update`,
    handle: async ({ actor, services, params, body }) => {
      const id = idOf(params);
      const present = await existing(of(services), id);
      requireWritable(actor, await resource.placeOf(present, services), body, resource.writable);
      const patch = withPatchedRules(body);
      // By what it stands in: its own present bounds are what is being changed.
      await requireBounded(services.store.entities, actor, await resource.newPlace({ ...present }, services), patch);
      const { before, after, inForce } = await of(services).update(id, patch as never);
      const change = { target: `${param}:${id}`, before: viewOf(before), after: viewOf(after) };
      return { body: viewOf(after), change, ...late(inForce) };
    },
  });
}

function removeRoute<Entity extends Ruled>({ resource, one, params, idOf, on }: Parts<Entity>): AdminRoute {
  const { plural, param, noun, view, viewOf, of, may } = resource;
  return writeRoute({
    method: 'DELETE',
    path: one,
    summary: `Remove ${noun}`,
    tag: plural,
    access: on(may.remove),
    params,
    answer: { status: 200, schema: view },
    audit: `${param}.delete`,
    handle: async ({ services, params }) => {
      const { before, inForce } = await of(services).remove(idOf(params));
      return { body: viewOf(before), change: { target: `${param}:${before.id}`, before: viewOf(before) }, ...late(inForce) };
    },
  });
}

/** It may have gone since the caller's rights were looked up. */
async function existing<Entity extends Ruled>(group: GroupOf<Entity, never, never>, id: string): Promise<Entity> {
  const found = await group.get(id);
  if (found === undefined) throw notThere();
  return found;
}

async function withSpent<Entity extends Ruled>(
  entities: readonly Entity[],
  viewOf: (entity: Entity) => CommonView,
  { store, nowMs }: Services,
): Promise<CommonView[]> {
  const views = entities.map(viewOf);
  const scoped = entities.map(({ kind, id }, index) => ({
    scope: `${kind}:${id}` as const,
    budgets: views[index]?.budgets ?? [],
  }));
  await fillSpent(scoped, { ledger: store.ledger, nowMs: nowMs() });
  return views;
}

/** 202 where a worker is late with it. */
export function late(inForce: boolean): { status?: 202 } {
  return inForce ? {} : { status: 202 };
}

function placeIn<Entity extends Ruled>(resource: Resource<Entity>, idOf: (params: unknown) => string) {
  return async (params: unknown, services: Services): Promise<Place | undefined> => {
    const entity = await resource.of(services).get(idOf(params));
    return entity === undefined ? undefined : resource.placeOf(entity, services);
  };
}

const NOUNS = { team: 'team', org: 'organisation' } as const;

/** Whether the actor may make something there. A place that he does not see answers like one that does not exist. */
export function requirePlace(actor: Actor, place: Place, allow: readonly Holder[]): void {
  if (holdsAt(actor, place, allow)) return;
  const param = place.team === undefined ? 'org' : 'team';
  const isHidden = place[param] !== undefined && holdersAt(actor, { [param]: place[param] }).size === 0;
  if (isHidden) throw invalidInput([{ param, message: `names no ${NOUNS[param]} that there is` }]);
  const message =
    place[param] === undefined ? 'Say where, by naming what is yours: a `team`, or an `org`' : 'Your role does not allow that';
  throw new GatewayError('forbidden', { details: { message } });
}
