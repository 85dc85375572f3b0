/** The registry of agents over HTTP: registered, found, looked at, switched, counted. Writing is the admins'; a virtual key sees what it may call. */
import * as z from 'zod';

import { AGENT_STATES, readsCard } from '../../core/agent.ts';
import { GatewayError } from '../../core/errors.ts';
import { ADMINS, READERS } from '../contract/access.ts';
import { pageOf, pageQuery, pathId, queryInt } from '../contract/fields.ts';
import type { Services } from '../contract/ports.ts';
import { type Done, readRoute, writeRoute } from '../contract/route.ts';
import { authorOf } from '../routes/entity-fields.ts';
import { late } from '../routes/resource.ts';
import { acceptAgent, patched, readSettings, requireVersion, settingsOf, withoutMovedSecrets, writableRow } from './input.ts';
import { agentBody, agentPatch } from './patch.ts';
import { replicaRoutes } from './replicas.ts';
import { found, listAgents, seenBy, shownOf, visible, withSpent } from './seen.ts';
import {
  type AgentShown,
  agentStatsShown,
  agentStatsView,
  agentView,
  deadPushShown,
  deadPushView,
  operatorView,
  statsShown,
  statsView,
  taskShown,
  taskView,
} from './view.ts';
import { write } from './write.ts';

const params = z.strictObject({ agent: pathId });
const admins = { on: 'installation', allow: ADMINS } as const;
const operators = { on: 'installation', allow: READERS } as const;
const callers = { on: 'agents' } as const;
const flag = z.enum(['true', 'false']).transform((text) => text === 'true');
const state = z.enum(AGENT_STATES);
const tagList = z.union([z.string().max(64), z.array(z.string().max(64)).max(16)]).transform((tags) => [tags].flat());
const forced = z.strictObject({
  force: flag.default(false).describe('`true`: calls that are under way end now, with the error AGENT_DISABLED.'),
});
const tag = 'agents';

export const agentRoutes = [
  readRoute({
    path: '/v1/agents',
    summary: 'List agents by name, or by how well they fit a text',
    tag,
    access: callers,
    query: z.strictObject({
      ...pageQuery,
      state: state.exactOptional().describe('The raw state.'),
      effective_state: state.exactOptional(),
      available: flag.exactOptional().describe('`true`: Healthy or Degraded, and enabled.'),
      enabled: flag.exactOptional(),
      tag: tagList.exactOptional().describe('May stand there several times: agents that have all of them.'),
      skill: z.string().max(256).exactOptional().describe('Id or name of a skill of its card.'),
      provider: z.string().max(64).exactOptional(),
      q: z.string().min(1).max(512).exactOptional().describe('Words in name, description, tags and skills; the best first.'),
    }),
    answer: { status: 200, schema: pageOf(agentView) },
    handle: async ({ actor, query, services }) => ({ body: await listAgents(actor, query, services) }),
  }),
  writeRoute({
    method: 'POST',
    path: '/v1/agents',
    summary: 'Register an agent; it is Unknown until somebody asks for it or it is probed',
    tag,
    access: admins,
    query: z.strictObject({ dry_run: flag.default(false).describe('`true`: only says what would be registered.') }),
    body: agentBody,
    answer: { status: 201, schema: agentView },
    audit: 'agent.create',
    handle: async ({ actor, body, query, services }) => {
      const { service } = services.agents;
      const { name } = body;
      if (service.registry.get(name) !== undefined) {
        throw new GatewayError('conflict', { details: { message: `Agent already registered: ${name}`, param: 'name' } });
      }
      const before = service.stored(name);
      const { config, row } = await acceptAgent(body, { by: authorOf(actor), before, isTrial: query.dry_run }, services);
      if (query.dry_run) {
        const shown = operatorView(service.registry.preview(config), { baseUrl: services.agents.baseUrl() });
        return { status: 200, body: shown, change: { target: `agent:${name}` } };
      }
      const { entry, inForce } = await service.register(config, row);
      const view = shownOf(entry, services);
      const headers = { location: `/v1/agents/${encodeURIComponent(name)}`, etag: `"${row.version}"` };
      return { body: view, headers, change: { target: `agent:${name}`, after: view }, ...late(inForce) };
    },
  }),
  readRoute({
    path: '/v1/agents/stats',
    summary: 'How many agents there are in which state, and what they were asked and have cost',
    tag,
    access: operators,
    answer: { status: 200, schema: statsView },
    handle: async ({ services }) => ({ body: statsShown(services.agents.service.registry.stats()) }),
  }),
  readRoute({
    path: '/v1/agents/{agent}',
    summary: 'Show an agent',
    tag,
    access: callers,
    params,
    answer: { status: 200, schema: agentView },
    handle: async ({ actor, params, services }) => {
      const entry = visible(actor, params.agent, services);
      const { version } = shownOf(entry, services);
      const [body] = await withSpent([seenBy(actor, entry, services)], services);
      return { body: body!, ...(typeof version === 'number' && { headers: { etag: `"${version}"` } }) };
    },
  }),
  writeRoute({
    method: 'PUT',
    path: '/v1/agents/{agent}',
    summary: 'Replace an agent; the credential too, which must be given again',
    tag,
    access: admins,
    params,
    body: agentBody,
    answer: { status: 200, schema: agentView },
    audit: 'agent.update',
    handle: async ({ actor, params, body, services, header }) => {
      if (body.name !== params.agent) {
        throw new GatewayError('invalid_request', {
          details: { message: 'The name of an agent does not change', param: 'name' },
        });
      }
      const before = writableRow(params.agent, services);
      requireVersion(header('if-match'), before.version);
      return write(await acceptAgent(body, { by: authorOf(actor), before }, services), services);
    },
  }),
  writeRoute({
    method: 'PATCH',
    path: '/v1/agents/{agent}',
    summary: 'Change an agent by a JSON merge patch; null takes a field away',
    tag,
    access: admins,
    params,
    body: agentPatch,
    answer: { status: 200, schema: agentView },
    audit: 'agent.update',
    handle: async ({ actor, params, body, services, header }) => {
      const before = writableRow(params.agent, services);
      requireVersion(header('if-match'), before.version);
      const known = settingsOf(before, services);
      const next = withoutMovedSecrets(known, patched(known, body), body);
      if (next.name !== params.agent) {
        throw new GatewayError('invalid_request', {
          details: { message: 'The name of an agent does not change', param: 'name' },
        });
      }
      return write(await acceptAgent(readSettings(next), { by: authorOf(actor), before }, services), services);
    },
  }),
  writeRoute({
    method: 'DELETE',
    path: '/v1/agents/{agent}',
    summary: 'Unregister an agent; what it was asked and has cost is forgotten with it',
    tag,
    access: admins,
    params,
    answer: { status: 200, schema: agentView },
    audit: 'agent.delete',
    handle: async ({ params, services, header }) => {
      requireVersion(header('if-match'), writableRow(params.agent, services).version);
      const { before, inForce } = await services.agents.service.unregister(params.agent);
      services.agents.forgetPlaces(`agent:${params.agent}`);
      const view = operatorView(before, { baseUrl: services.agents.baseUrl() });
      return { body: view, change: { target: `agent:${params.agent}`, before: view }, ...late(inForce) };
    },
  }),
  writeRoute({
    method: 'POST',
    path: '/v1/agents/{agent}/probe',
    summary: 'Look at an agent now, and wait for what is found',
    tag,
    access: admins,
    params,
    answer: { status: 200, schema: agentView },
    audit: 'agent.probe',
    handle: async ({ params, services }) => {
      if (found(params.agent, services).config.health.mode === 'off')
        throw new GatewayError('conflict', { details: { message: 'The agent is never probed: its `health.mode` is `off`' } });
      return looked(params.agent, services);
    },
  }),
  writeRoute({
    method: 'POST',
    path: '/v1/agents/{agent}/refresh-card',
    summary: 'Read the card of an agent now; another one that waited is adopted',
    tag,
    access: admins,
    params,
    answer: { status: 200, schema: agentView },
    audit: 'agent.refresh_card',
    handle: async ({ params, services }) => {
      if (!readsCard(found(params.agent, services).config)) {
        const message = 'No card of this agent is read: its `health.mode` spares that, and no `card_url` says where it is';
        throw new GatewayError('conflict', { details: { message } });
      }
      await looked(params.agent, services);
      const { registry } = services.agents.service;
      if (registry.get(params.agent)?.pendingCard !== undefined) registry.adoptPendingCard(params.agent);
      return changed(params.agent, services);
    },
  }),
  switchRoute('enable', 'Take new work again; it is Unknown until it is looked at', z.strictObject({})),
  switchRoute('disable', 'Take no new work; tasks that exist can be read, cancelled and followed', forced),
  writeRoute({
    method: 'PUT',
    path: '/v1/agents/{agent}/state',
    summary: 'Set the raw state by hand; the next probe or call may change it again, but for `disabled`',
    tag,
    access: admins,
    params,
    body: z.strictObject({ state }),
    answer: { status: 200, schema: agentView },
    audit: 'agent.state',
    handle: async ({ params, body, services }) => {
      found(params.agent, services);
      services.agents.service.registry.updateState(params.agent, body.state);
      return changed(params.agent, services);
    },
  }),
  ...replicaRoutes,
  readRoute({
    path: '/v1/agents/{agent}/stats',
    summary: 'How an agent is, and what it was asked and has cost',
    tag,
    access: operators,
    params,
    answer: { status: 200, schema: agentStatsView },
    handle: async ({ params, services }) => ({ body: agentStatsShown(found(params.agent, services)) }),
  }),
  readRoute({
    path: '/v1/agents/{agent}/tasks',
    summary: 'Tasks of an agent, the latest first: where each lives and whose it is',
    tag,
    access: operators,
    params,
    query: z.strictObject({
      after: pageQuery.after,
      limit: queryInt(1, 1_000).default(100),
      state: z.string().max(32).exactOptional(),
      owner: z.string().max(256).exactOptional(),
      context: z.string().max(512).exactOptional(),
    }),
    answer: { status: 200, schema: pageOf(taskView) },
    handle: async ({ params, query, services }) => {
      found(params.agent, services);
      const { rows, next } = await services.agents.tasks({ agent: params.agent, ...query });
      const ids = rows.map(({ task }) => task);
      const costs = await services.store.agents.taskCosts(params.agent, ids);
      return { body: { data: rows.map((each) => taskShown(each, costs)), next: next ?? null } };
    },
  }),
  readRoute({
    path: '/v1/agents/{agent}/push-dead-letters',
    summary: 'Push notifications of an agent that never reached their client, the latest first; what they said is not kept',
    tag,
    access: operators,
    params,
    query: z.strictObject({ after: pageQuery.after, limit: queryInt(1, 1_000).default(100) }),
    answer: { status: 200, schema: pageOf(deadPushView) },
    handle: async ({ params, query: { after, limit }, services }) => {
      found(params.agent, services);
      const before = after === undefined ? {} : { before: Number(after) || 0 };
      const letters = await services.store.pushes.dead({ agent: params.agent, ...before, limit: limit + 1 });
      const page = letters.slice(0, limit);
      const next = letters.length > limit ? String(page.at(-1)!.seq) : null;
      return { body: { data: page.map(deadPushShown), next } };
    },
  }),
];

/** What differs between the two: whether calls under way may be cut. */
function switchRoute(word: 'enable' | 'disable', summary: string, query: z.ZodType<{ force?: boolean }>) {
  return writeRoute({
    method: 'POST',
    path: `/v1/agents/{agent}/${word}`,
    summary,
    tag,
    access: admins,
    params,
    query,
    answer: { status: 200, schema: agentView },
    audit: `agent.${word}`,
    handle: async ({ actor, params, query: { force = false }, services }) => {
      const before = shownOf(found(params.agent, services), services);
      const change = { enabled: word === 'enable', by: authorOf(actor), force };
      const { entry, inForce } = await services.agents.service.setEnabled(params.agent, change);
      const view = shownOf(entry, services);
      return { body: view, change: { target: `agent:${params.agent}`, before, after: view }, ...late(inForce) };
    },
  });
}

async function looked(name: string, services: Services): Promise<Done<AgentShown>> {
  const entry = found(name, services);
  if (!entry.config.enabled) {
    throw new GatewayError('conflict', {
      details: { message: 'The agent is disabled: it is not looked at until it is enabled' },
    });
  }
  await services.agents.service.registry.checkAgentHealth(name);
  return changed(name, services);
}

async function changed(name: string, services: Services): Promise<Done<AgentShown>> {
  const inForce = await services.agents.service.publish();
  const view = shownOf(found(name, services), services);
  return { body: view, change: { target: `agent:${name}`, after: view }, ...late(inForce) };
}
