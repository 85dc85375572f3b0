/** Keys as they are shown, of the store and of the file alike. */
import * as z from 'zod';

import type { KeyEntry } from '../../core/directory.ts';
import type { Limits, Rules } from '../../core/rules.ts';
import type { Key } from '../../store/ports/entities.ts';
import type { Place } from '../contract/access.ts';
import { isoOf, isoTime } from '../contract/fields.ts';
import { budgetViewOf, commonView, commonViewOf } from './entity-fields.ts';

export const keyView = z.object({
  ...commonView,
  created_at: isoTime.optional(),
  updated_at: isoTime.optional(),
  created_by: z.string().optional(),
  shown: z.string().optional().describe('Enough of the secret to tell it from others.'),
  user: z.string().optional(),
  service_account: z.string().optional(),
  team: z.string().optional(),
  org: z.string().optional(),
  parent: z.string().optional(),
  task: z.string().optional(),
  expires_at: isoTime.optional(),
  rotated_at: isoTime.optional(),
  old_secrets: z.array(z.object({ until: isoTime })).describe('Secrets from before a rotation that still hold.'),
  ips: z.array(z.string()).optional(),
  tags: z.array(z.string()),
  priority: z.enum(['high', 'normal', 'low']),
  record_bodies: z.boolean(),
  source: z.enum(['store', 'file']).describe('Keys of the file are changed there.'),
  shadowed: z.boolean().describe('A key of the file of the same name and owner stands in its place.'),
});
export type KeyView = z.input<typeof keyView>;

export const mintedView = keyView.extend({ key: z.string().describe('The secret. It is shown this once and kept nowhere.') });

/** Where a key stands: of its team and organisation, and its person's own. */
export function placeOfKey({ principal, team, org }: Pick<KeyEntry, 'principal' | 'team' | 'org'>): Place {
  return { team, org, ...(principal?.startsWith('usr_') && { owner: principal }) };
}

export function storedKeyView(key: Key, { shadowed, nowMs }: { shadowed: boolean; nowMs: number }): KeyView {
  return {
    ...commonViewOf(key),
    ...sharedView(key),
    shown: key.shown,
    rotated_at: timeOf(key.rotatedAtMs),
    old_secrets: key.digests.flatMap(({ untilMs }) =>
      untilMs === undefined || untilMs <= nowMs ? [] : [{ until: isoOf(untilMs) }],
    ),
    source: 'store',
    shadowed,
  };
}

export function filedKeyView(key: KeyEntry): KeyView {
  const { id, name, blocked, models, agents, rules } = key;
  return {
    id,
    name,
    blocked,
    models: [...models],
    agents: [...agents],
    ...limitsView(rules),
    budgets: (rules?.budgets ?? []).map(budgetViewOf),
    metadata: {},
    ...sharedView(key),
    old_secrets: [],
    source: 'file',
    shadowed: false,
  };
}

/** What keys of the store and of the file call by the same names. */
function sharedView(key: Key | KeyEntry) {
  const { principal, team, org, parent, task, ips, tags, priority = 'normal', recordBodies = false, expiresAtMs } = key;
  return {
    ...(principal !== undefined && { [principal.startsWith('svc_') ? 'service_account' : 'user']: principal }),
    team,
    org,
    parent,
    task,
    expires_at: timeOf(expiresAtMs),
    ips: ips && [...ips],
    tags: [...tags],
    priority,
    record_bodies: recordBodies,
  };
}

function limitsView(rules: Rules | undefined): { limits?: Limits } {
  const { requests, tokens, concurrent } = rules ?? {};
  const limits: Limits = {
    ...(requests && { rpm: requests.perMinute }),
    ...(tokens && { tpm: tokens.perMinute }),
    ...(concurrent && { concurrent: concurrent.most }),
  };
  return Object.keys(limits).length === 0 ? {} : { limits };
}

function timeOf(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : isoOf(ms);
}
