/** Who one is here, and one's own keys. */
import * as z from 'zod';

import { pageOf, pageQuery } from '../contract/fields.ts';
import { readRoute, writeRoute } from '../contract/route.ts';
import { authorOf } from './entity-fields.ts';
import { ownKeyInput } from './key-input.ts';
import { keyView, mintedView } from './key-view.ts';
import { listKeys, mint } from './keys.ts';

const me = z.object({
  kind: z.enum(['root', 'user']),
  via: z.enum(['admin_key', 'token', 'session']),
  id: z.string().optional(),
  name: z.string().optional(),
  role: z.enum(['admin', 'viewer', 'none']).optional().describe('In the whole installation.'),
  orgs: z.record(z.string(), z.enum(['org_admin', 'member'])).optional(),
  teams: z.record(z.string(), z.enum(['team_admin', 'member'])).optional(),
});

export const meRoutes = [
  readRoute({
    path: '/admin/v1/me',
    summary: 'Who you are, and your roles',
    tag: 'me',
    access: { on: 'anyone' },
    answer: { status: 200, schema: me },
    handle: ({ actor, via }) => Promise.resolve({ body: { ...actor, via } as z.input<typeof me> }),
  }),
  readRoute({
    path: '/admin/v1/me/keys',
    summary: 'List your own keys',
    tag: 'me',
    access: { on: 'people' },
    query: z.strictObject(pageQuery),
    answer: { status: 200, schema: pageOf(keyView) },
    handle: async ({ actor, query, services }) => ({
      body: await listKeys(actor, { ...query, principal: authorOf(actor) }, services),
    }),
  }),
  writeRoute({
    method: 'POST',
    path: '/admin/v1/me/keys',
    summary:
      'Mint a key for yourself in one of your teams, within that team’s bounds; change, rotate and remove it under `/keys/{key}`',
    tag: 'me',
    access: { on: 'people' },
    body: ownKeyInput,
    answer: { status: 201, schema: mintedView },
    audit: 'key.create',
    handle: ({ actor, body, services }) => {
      // A child belongs to whom its parent belongs to.
      const owned = body.parent === undefined ? { ...body, user: authorOf(actor) } : body;
      return mint({ actor, body: owned, services });
    },
  }),
];
