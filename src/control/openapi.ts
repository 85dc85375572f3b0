/** The OpenAPI 3.1 document of the control plane, made from the schemas that validate. */
import { setImmediate } from 'node:timers/promises';
import * as z from 'zod';

import type { Access } from './contract/access.ts';
import type { Services } from './contract/ports.ts';
import type { AdminRoute } from './contract/route.ts';

type Json = Record<string, unknown>;

/** Some hundred schemas take half a second: between two routes others get their turn. */
export async function openApiDocument(routes: readonly AdminRoute[], version: string): Promise<Json> {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) };
    await setImmediate();
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Signalbox', version, description: 'The admin API. Times are ISO 8601 in UTC, money is USD.' },
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    security: [{ bearer: [] }],
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'The admin key, or a management token of a person.' },
      },
      schemas: { Error: ERROR },
    },
  };
}

const ERROR = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['message', 'type', 'param', 'code'],
      properties: {
        message: { type: 'string' },
        type: { type: 'string' },
        param: { type: ['string', 'null'], description: 'The field that is wrong, as a path.' },
        code: { type: ['string', 'null'] },
        issues: {
          type: 'array',
          description: 'Everything that is wrong.',
          items: {
            type: 'object',
            required: ['param', 'message'],
            properties: { param: { type: 'string' }, message: { type: 'string' } },
          },
        },
      },
    },
  },
};

function operationOf(route: AdminRoute): Json {
  const { access, audit, body, summary, tag } = route;
  return {
    operationId: operationId(route),
    summary,
    tags: [tag],
    ...(access.on === 'public' && { security: [] }),
    'x-access': accessOf(access),
    ...(audit !== undefined && { 'x-audit-action': audit }),
    parameters: [...parametersOf(route.params, 'path'), ...parametersOf(route.query, 'query')],
    ...(body !== undefined && {
      requestBody: { required: hasRequired(body), content: { 'application/json': { schema: schemaOf(body) } } },
    }),
    responses: responsesOf(route),
  };
}

/** `get_keys_key_rotate`. */
function operationId({ method, path }: AdminRoute): string {
  const words = path.replace(/^\/admin\/v1/, '').match(/[a-z0-9]+/g) ?? [];
  return [method.toLowerCase(), ...words].join('_');
}

/** Who may, in the words of the matrix. */
export function accessOf(access: Access<unknown, Services>): string {
  if (access.on === 'public') return 'everybody, without a credential';
  if (access.on === 'anyone') return 'anyone; answers what the caller may see';
  if (access.on === 'people') return 'people';
  if (access.on === 'agents') return 'root, admin, viewer; virtual keys, for the agents that they may call';
  return access.allow.join(', ');
}

function parametersOf(schema: z.ZodObject, place: 'path' | 'query'): Json[] {
  const { properties = {}, required = [] } = schemaOf(schema) as { properties?: Record<string, Json>; required?: string[] };
  const parameters: Json[] = [];
  for (const [name, { description, ...schema }] of Object.entries(properties)) {
    const isRequired = place === 'path' || required.includes(name);
    parameters.push({ name, in: place, required: isRequired, ...(description !== undefined && { description }), schema });
  }
  return parameters;
}

function responsesOf({ answer, access, params }: AdminRoute): Json {
  const { status, schema, text = [] } = answer;
  const json = schema instanceof z.ZodNever ? {} : { 'application/json': { schema: schemaOf(schema) } };
  const others = Object.fromEntries(text.map((type) => [type, { schema: { type: 'string' } }]));
  const error = (description: string): Json => ({
    description,
    content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
  });
  return {
    [status]: { description: 'Done', content: { ...json, ...others } },
    '400': error('Something in the request is wrong: `issues` names each field'),
    ...(access.on !== 'public' && { '401': error('No credential, or one that is not good') }),
    ...(access.on !== 'public' && access.on !== 'anyone' && { '403': error('The caller’s roles do not allow it') }),
    ...(Object.keys(params.shape).length > 0 && { '404': error('There is no such thing, or the caller may not see it') }),
    default: error('Any other failure'),
  };
}

function hasRequired(body: z.ZodType): boolean {
  return ((schemaOf(body) as { required?: string[] }).required ?? []).length > 0;
}

/** As it travels; what cannot be said in JSON Schema (a check of ours) is said by the description or not at all. */
function schemaOf(schema: z.ZodType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Json;
  return rest;
}
