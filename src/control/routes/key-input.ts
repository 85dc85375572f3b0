/** What comes in about keys: minted, imported, changed, rotated. */
import * as z from 'zod';

import { int, text } from '../../config/schema-parts.ts';
import { cidrProblem, dateProblem, idProblem, tagProblem } from '../../config/values.ts';
import type { KeyFields, KeyInput } from '../directory/keys.ts';
import type { Patch } from '../directory/change.ts';
import { commonInput, commonPatch, grants, name, withPatchedRules, withRules } from './entity-fields.ts';

const MAX_GRACE_S = 30 * 86_400;

const ips = z.array(text(cidrProblem)).min(1).max(256);
const expires = text(dateProblem);
const tags = z.array(text(tagProblem)).max(16);
const priority = z.enum(['high', 'normal', 'low']);

/** What a key of the file has, without `key`; and whom it belongs to. */
export const keyInput = z.strictObject({
  name,
  ...commonInput,
  expires_at: expires.exactOptional().describe('Date, or date and time with zone, from which it is refused. Absent: never.'),
  ips: ips.exactOptional().describe('Address ranges from which it is accepted. Absent: from anywhere.'),
  tags: tags.exactOptional(),
  priority: priority.exactOptional(),
  record_bodies: z.boolean().exactOptional(),
  user: text(idProblem('usr')).exactOptional().describe('The person that it belongs to.'),
  service_account: text(idProblem('svc')).exactOptional().describe('The service account that it belongs to.'),
  team: text(idProblem('team')).exactOptional(),
  org: text(idProblem('org')).exactOptional(),
  parent: text()
    .max(256)
    .exactOptional()
    .describe('The key it descends from: it has what that one has, or less, and belongs to whom that one belongs to.'),
  task: text().max(256).exactOptional().describe('What a child is for.'),
});
export type KeyInputBody = z.output<typeof keyInput>;

/** For people: it is their own. */
export const ownKeyInput = keyInput.omit({ user: true, service_account: true, org: true });

export const keyPatch = z.strictObject({
  ...commonPatch,
  models: grants.exactOptional(),
  agents: grants.exactOptional(),
  expires_at: expires.nullable().exactOptional(),
  ips: ips.nullable().exactOptional(),
  tags: tags.exactOptional(),
  priority: priority.exactOptional(),
  record_bodies: z.boolean().exactOptional(),
});

export const rotation = z.strictObject({
  grace_s: int(0, MAX_GRACE_S).default(0).describe('For so many seconds the old secret holds too.'),
});

const MAX_IMPORTED = 1_000;

export const importInput = z.strictObject({
  keys: z
    .array(
      keyInput.extend({
        sha256: z
          .string()
          .regex(/^[0-9a-f]{64}$/, 'must be 64 hex digits')
          .describe('SHA-256 of the secret, hex.'),
      }),
    )
    .min(1)
    .max(MAX_IMPORTED),
});

export function toKeyInput(body: KeyInputBody): KeyInput {
  const { expires_at, record_bodies, user, service_account, ...rest } = body;
  const principal = service_account ?? user;
  return {
    ...withRules(rest),
    ...(expires_at !== undefined && { expiresAtMs: Date.parse(expires_at) }),
    ...(record_bodies !== undefined && { recordBodies: record_bodies }),
    ...(principal !== undefined && { principal }),
  };
}

export function toKeyPatch({ expires_at, record_bodies, ...rest }: z.output<typeof keyPatch>): Patch<KeyFields> {
  return {
    ...withPatchedRules(rest),
    ...(expires_at !== undefined && { expiresAtMs: expires_at === null ? null : Date.parse(expires_at) }),
    ...(record_bodies !== undefined && { recordBodies: record_bodies }),
  };
}
