/** Models, providers and tags one by one: each write edits the document of the API as a whole. */
import * as z from 'zod';

import type { ApiSection } from '../../config/api-document.ts';
import { credentialProblem } from '../../config/values.ts';
import { text } from '../../config/schema-parts.ts';
import { GatewayError } from '../../core/errors.ts';
import { ADMINS, READERS, notThere } from '../contract/access.ts';
import { pageOf, pathId } from '../contract/fields.ts';
import { invalidInput } from '../contract/input.ts';
import type { Services } from '../contract/ports.ts';
import { type AdminRoute, type Call, readRoute, writeRoute } from '../contract/route.ts';
import { authorOf } from '../routes/entity-fields.ts';
import { named } from './diff.ts';
import { entryInput, withEntry, withoutEntry } from './document.ts';
import { expectedBy } from './document-routes.ts';
import { triedView } from './try.ts';
import * as views from './views.ts';

const KINDS = [
  { section: 'providers', param: 'provider', noun: 'a provider' },
  { section: 'models', param: 'model', noun: 'a model' },
  { section: 'tags', param: 'tag', noun: 'the limits and budgets of a tag' },
] as const satisfies { section: ApiSection; param: string; noun: string }[];
type Kind = (typeof KINDS)[number];

const readers = { on: 'installation', allow: READERS } as const;
const writers = { on: 'installation', allow: ADMINS } as const;

export const entryRoutes: AdminRoute[] = KINDS.flatMap((kind) => [
  listRoute(kind),
  showRoute(kind),
  putRoute(kind),
  deleteRoute(kind),
]);

function pathOf({ section }: Kind): `/${string}` {
  return `/admin/v1/${section}`;
}

function onePath(kind: Kind): `/${string}` {
  return `${pathOf(kind)}/{${kind.param}}`;
}

function paramsOf({ param }: Kind) {
  return z.strictObject({ [param]: pathId });
}

function listRoute(kind: Kind): AdminRoute {
  return readRoute({
    path: pathOf(kind),
    summary: `List the ${kind.section} of both layers, those of the file first`,
    tag: kind.section,
    access: readers,
    answer: { status: 200, schema: pageOf(views.entryView) },
    handle: ({ services: { config } }) =>
      Promise.resolve({ body: { data: views.entriesIn(config.inForce(), kind.section), next: null } }),
  });
}

function showRoute(kind: Kind): AdminRoute {
  return readRoute({
    path: onePath(kind),
    summary: `Show ${kind.noun}`,
    tag: kind.section,
    access: readers,
    params: paramsOf(kind),
    answer: { status: 200, schema: views.entryView },
    handle: ({ params, services: { config } }) => {
      const state = config.inForce();
      const entry = views.entryIn(state, kind.section, nameIn(kind, params));
      if (entry === undefined) throw notThere();
      return Promise.resolve({ body: entry, headers: { etag: views.etagOf(state.number) } });
    },
  });
}

function putRoute(kind: Kind): AdminRoute {
  const { section, param, noun } = kind;
  return writeRoute({
    method: 'PUT',
    path: onePath(kind),
    summary: `Make or replace ${noun} in the layer of the API`,
    tag: section,
    access: writers,
    params: paramsOf(kind),
    body: entryInput,
    answer: { status: 200, schema: views.appliedView },
    audit: `${param}.put`,
    handle: async (call) => {
      const name = nameIn(kind, call.params);
      const { name: inBody = name, ...value } = call.body;
      if (inBody !== name) throw invalidInput([{ param: 'name', message: 'is not the name in the path' }]);
      const edited = await call.services.config.edit((document) => withEntry(document, section, name, value), editOf(call));
      return views.applied(edited, `${param}:${name}`);
    },
  });
}

function deleteRoute(kind: Kind): AdminRoute {
  const { section, param, noun } = kind;
  return writeRoute({
    method: 'DELETE',
    path: onePath(kind),
    summary: `Take ${noun} out of the layer of the API`,
    tag: section,
    access: writers,
    params: paramsOf(kind),
    answer: { status: 200, schema: views.appliedView },
    audit: `${param}.delete`,
    handle: async (call) => {
      const name = nameIn(kind, call.params);
      const edited = await call.services.config.edit((document) => {
        if (!named(document, section).has(name)) throw notInDocument(call.services, section, name);
        return withoutEntry(document, section, name);
      }, editOf(call));
      return views.applied(edited, `${param}:${name}`);
    },
  });
}

const provider = z.strictObject({ provider: pathId });
const credentialState = z.object({
  provider: z.string(),
  credential: z.enum(['set', 'missing']),
  in_force: z.boolean(),
  late_workers: z.array(z.int()),
});

export const credentialRoutes = [
  writeRoute({
    method: 'PUT',
    path: '/admin/v1/providers/{provider}/credential',
    summary:
      'Set the credential of a provider of the API; it is never shown again, and ends with a change of the type or a base URL',
    tag: 'providers',
    access: writers,
    params: provider,
    body: z.strictObject({ api_key: text(credentialProblem).max(16_384) }),
    answer: { status: 200, schema: credentialState },
    audit: 'provider.credential.put',
    handle: (call) => setCredential(call, call.params.provider, call.body.api_key),
  }),
  writeRoute({
    method: 'DELETE',
    path: '/admin/v1/providers/{provider}/credential',
    summary: 'Take back the credential of a provider of the API',
    tag: 'providers',
    access: writers,
    params: provider,
    answer: { status: 200, schema: credentialState },
    audit: 'provider.credential.delete',
    handle: (call) => setCredential(call, call.params.provider, undefined),
  }),
  writeRoute({
    method: 'POST',
    path: '/admin/v1/providers/{provider}/test',
    summary:
      'Make one small real call to each endpoint of a provider that is in force, by the way that all calls take; it costs a few tokens',
    tag: 'providers',
    access: writers,
    params: provider,
    body: z.strictObject({
      model: text().max(256).exactOptional().describe('The provider’s own name of it. Absent: of one that is configured.'),
    }),
    answer: { status: 200, schema: triedView },
    audit: 'provider.test',
    handle: async ({ params, body, services }) => {
      const { providers, models } = services.snapshot();
      const found = Object.hasOwn(providers, params.provider) ? providers[params.provider] : undefined;
      if (found === undefined) throw notThere();
      const targets = models.flatMap((each) => each.targets).filter(({ provider: name }) => name === params.provider);
      const model = body.model ?? targets.find(({ upstreamModel }) => upstreamModel !== '*')?.upstreamModel;
      if (model === undefined)
        throw invalidInput([{ param: 'model', message: 'is missing: no model of this provider is configured' }]);
      return { body: await services.tryProvider(found, model), change: { target: `provider:${params.provider}` } };
    },
  }),
];

async function setCredential({ actor, services }: Call, name: string, apiKey: string | undefined) {
  const entry = views.entriesIn(services.config.inForce(), 'providers').filter((each) => each.name === name);
  const own = entry.find(({ origin }) => origin !== 'file');
  if (own === undefined) throw notInDocument(services, 'providers', name);
  if (own.credential === 'none') throw conflict('This provider is configured to send no credential');
  const late = await services.config.setCredential(name, apiKey, authorOf(actor));
  const state = { provider: name, credential: apiKey === undefined ? ('missing' as const) : ('set' as const) };
  return {
    body: { ...state, in_force: late.length === 0, late_workers: [...late] },
    ...(late.length > 0 && { status: 202 }),
    change: { target: `provider:${name}`, after: { state: state.credential } },
  };
}

function nameIn({ param }: Kind, params: unknown): string {
  return (params as Record<string, string>)[param] ?? '';
}

function editOf(call: Pick<Call, 'header' | 'actor'>) {
  return { expected: expectedBy(call), by: authorOf(call.actor), note: '' };
}

function notInDocument({ config }: Pick<Services, 'config'>, section: ApiSection, name: string): GatewayError {
  const isFiled = views.entryIn(config.inForce(), section, name)?.origin === 'file';
  return isFiled ? conflict('It stands in the file of the operator, and is changed there') : notThere();
}

function conflict(message: string): GatewayError {
  return new GatewayError('conflict', { details: { message } });
}
