/** What the changes of all kinds of entities share. */
import { GatewayError } from '../../core/errors.ts';
import type { EntitiesPort, Entities, EntityKind } from '../../store/ports/entities.ts';

/** Absent members stay as they are; null takes an optional one away. */
export type Patch<Fields> = { [Name in keyof Fields]?: Fields[Name] | (undefined extends Fields[Name] ? null : never) };

/** A patched copy. */
export function patched<Entity extends object>(entity: Entity, patch: object, nowMs: number): Entity {
  const copy: Record<string, unknown> = { ...entity, updatedAtMs: nowMs };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete copy[name];
    else if (value !== undefined) copy[name] = value;
  }
  return copy as Entity;
}

/** Throws not_found. */
export async function require<Kind extends EntityKind>(entities: EntitiesPort, kind: Kind, id: string): Promise<Entities[Kind]> {
  const found = await entities.get(kind, id);
  if (found === undefined) throw notThere();
  return found;
}

/** What a member of the input names must exist. Throws invalid_request. */
export async function named<Kind extends EntityKind>(
  entities: EntitiesPort,
  { kind, id, param }: { kind: Kind; id: string; param: string },
): Promise<Entities[Kind]> {
  const found = await entities.get(kind, id);
  if (found === undefined) throw invalid(param, `there is no such ${WORDS[kind]}`);
  return found;
}

const WORDS: Readonly<Record<EntityKind, string>> = {
  org: 'organisation',
  team: 'team',
  user: 'user',
  service: 'service account',
  key: 'key',
  token: 'token',
};

export function invalid(param: string, message: string): GatewayError {
  return new GatewayError('invalid_request', { details: { message: `\`${param}\`: ${message}`, param } });
}

export function conflict(message: string, cause?: unknown): GatewayError {
  return new GatewayError('conflict', { ...(cause !== undefined && { cause }), details: { message } });
}

/** One sentence for what is not there and for what the caller may not see. */
export function notThere(): GatewayError {
  return new GatewayError('not_found', { details: { message: 'There is no such thing, or you may not see it' } });
}
