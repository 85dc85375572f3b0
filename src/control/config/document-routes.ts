/** The configuration as a whole: both layers as they are in force, and the document of the API with its history. */
import * as z from 'zod';

import type { ApiDocument } from '../../config/api-document.ts';
import { GatewayError } from '../../core/errors.ts';
import { ADMINS, READERS, notThere } from '../contract/access.ts';
import { pageFrom, pageOf, pageQuery, queryInt } from '../contract/fields.ts';
import type { Call } from '../contract/route.ts';
import { readRoute, writeRoute } from '../contract/route.ts';
import { authorOf } from '../routes/entity-fields.ts';
import type { ConfigDesk } from './desk.ts';
import { differences } from './diff.ts';
import { documentInput, whole } from './document.ts';
import { exportYaml } from './export.ts';
import * as views from './views.ts';

const YAML_TYPE = 'application/yaml';
const TARGET = 'config:document';
const read = { tag: 'config', access: { on: 'installation', allow: READERS } } as const;
const write = { tag: 'config', access: { on: 'installation', allow: ADMINS } } as const;

const note = z.string().max(1_000).default('').describe('Why, for the history.');
const number = z.string().regex(/^[1-9]\d{0,14}$/, 'must be the number of a version');

export const documentRoutes = [
  readRoute({
    ...read,
    path: '/admin/v1/config',
    summary: 'The configuration in force: each entry with the layer it comes from, secrets never',
    answer: { status: 200, schema: views.effectiveView },
    handle: ({ services: { config, snapshot } }) => {
      const state = config.inForce();
      const [providers, models, tags] = (['providers', 'models', 'tags'] as const).map((section) =>
        views.entriesIn(state, section),
      );
      const head = { version: state.number, snapshot_hash: snapshot().hash };
      return Promise.resolve({
        body: { ...head, providers: providers!, models: models!, tags: tags!, file: views.fileOnly(state) },
      });
    },
  }),
  readRoute({
    tag: 'config',
    access: write.access,
    path: '/admin/v1/config/export',
    summary: 'All that serves, as one file that loads again; secrets are references to fill in',
    answer: { status: 200, schema: z.never(), text: [YAML_TYPE] },
    handle: async ({ services: { config, store, nowMs } }) => ({
      text: await exportYaml(config.inForce(), store, nowMs()),
      contentType: YAML_TYPE,
    }),
  }),
  readRoute({
    ...read,
    path: '/admin/v1/config/document',
    summary: 'The layer that is edited over the API; its version is the ETag',
    answer: { status: 200, schema: views.documentView },
    handle: ({ services: { config } }) => {
      const { number: version, document } = config.inForce();
      return Promise.resolve({ body: whole(document), headers: { etag: views.etagOf(version) } });
    },
  }),
  writeRoute({
    ...write,
    method: 'PUT',
    path: '/admin/v1/config/document',
    summary: 'Replace it; `If-Match` must name the version that was read',
    body: documentInput.extend({ note }),
    answer: { status: 200, schema: views.appliedView },
    audit: 'config.replace',
    handle: async (call) => {
      const expected = expectedBy(call);
      if (call.header('if-match') === undefined) throw new GatewayError('precondition_required');
      const { note: why, ...document } = call.body;
      const edited = await call.services.config.edit(() => document, { expected, by: authorOf(call.actor), note: why });
      return views.applied(edited, TARGET);
    },
  }),
  writeRoute({
    ...write,
    method: 'POST',
    path: '/admin/v1/config/validate',
    summary: 'Say all that is wrong with a document, and change nothing',
    body: documentInput,
    answer: { status: 200, schema: views.checkView },
    audit: 'config.validate',
    handle: async ({ body, services: { config } }) => ({
      body: views.viewOfCheck(await config.check(body)),
      change: { target: TARGET },
    }),
  }),
  writeRoute({
    ...write,
    method: 'POST',
    path: '/admin/v1/config/diff',
    summary: 'Say what a document would change, and change nothing',
    body: documentInput,
    answer: { status: 200, schema: views.diffView },
    audit: 'config.diff',
    handle: async ({ body, services: { config } }) => {
      const checked = await config.check(body);
      const changes = differences(config.inForce().document, body).map(views.viewOfChange);
      return {
        body: { ...views.viewOfCheck(checked), changes, clears_credentials: checked.cleared },
        change: { target: TARGET },
      };
    },
  }),
  readRoute({
    ...read,
    path: '/admin/v1/config/versions',
    summary: 'Its history, newest first',
    query: z.strictObject({
      ...pageQuery,
      after: queryInt(1, Number.MAX_SAFE_INTEGER / 10)
        .exactOptional()
        .describe('`next` of the page before.'),
    }),
    answer: { status: 200, schema: pageOf(views.versionView) },
    handle: async ({ query: { after, limit }, services: { config } }) => {
      const rows = await config.versions({ before: after, limit: limit + 1 });
      const { page, next } = pageFrom(rows, limit, (row) => String(row.number));
      return { body: { data: page.map(views.viewOfVersion), next } };
    },
  }),
  readRoute({
    ...read,
    path: '/admin/v1/config/versions/{version}',
    summary: 'One version, with what it changed',
    params: z.strictObject({ version: number }),
    answer: { status: 200, schema: views.oneVersionView },
    handle: async ({ params, services: { config } }) => {
      const wanted = Number(params.version);
      const [version, before] = await Promise.all([config.version(wanted), config.version(wanted - 1)]);
      if (version === undefined) throw notThere();
      const document = JSON.parse(version.content) as ApiDocument;
      const changes = differences(before === undefined ? {} : (JSON.parse(before.content) as ApiDocument), document);
      return {
        body: { ...views.viewOfVersion(version), document: whole(document), changes: changes.map(views.viewOfChange) },
      };
    },
  }),
  writeRoute({
    ...write,
    method: 'POST',
    path: '/admin/v1/config/rollback',
    summary: 'Make an earlier version’s content the newest version; 0 is the empty document',
    body: z.strictObject({ to: z.int().min(0), note }),
    answer: { status: 200, schema: views.appliedView },
    audit: 'config.rollback',
    handle: async (call) => {
      const { to, note: why } = call.body;
      const document = await contentOf(call.services.config, to);
      const edit = { expected: expectedBy(call), by: authorOf(call.actor), note: why || `back to version ${to}` };
      return views.applied(await call.services.config.edit(() => document, edit), TARGET);
    },
  }),
];

async function contentOf(config: ConfigDesk, version: number): Promise<ApiDocument> {
  if (version === 0) return {};
  const found = await config.version(version);
  if (found === undefined) throw notThere();
  return JSON.parse(found.content) as ApiDocument;
}

const ETAG = /^"v(\d{1,15})"$/;

/** The version that `If-Match` names; `*` names any. What names none of ours is none of ours. */
export function expectedBy({ header }: Pick<Call, 'header'>): number | undefined {
  const given = header('if-match')?.trim();
  if (given === undefined || given === '*') return undefined;
  const version = ETAG.exec(given)?.[1];
  if (version === undefined) throw new GatewayError('precondition_failed');
  return Number(version);
}
