/** Where an agent runs: replicas come, change, drain and go. */
import * as z from 'zod';

import { replicasIn } from '../../config/resolve-agents.ts';
import { replicaSchema } from '../../config/schema-agent.ts';
import { GatewayError } from '../../core/errors.ts';
import { ADMINS, READERS } from '../contract/access.ts';
import type { Actor } from '../contract/actor.ts';
import { pathId } from '../contract/fields.ts';
import type { Services } from '../contract/ports.ts';
import { type Done, readRoute, writeRoute } from '../contract/route.ts';
import { authorOf } from '../routes/entity-fields.ts';
import { acceptAgent, readSettings, settingsOf, withoutMovedSecrets, writableRow } from './input.ts';
import { found } from './seen.ts';
import { type AgentShown, agentStatsShown, agentStatsView, agentView } from './view.ts';
import { write } from './write.ts';

const params = z.strictObject({ agent: pathId });
const replicaParams = z.strictObject({ agent: pathId, replica: pathId });
const admins = { on: 'installation', allow: ADMINS } as const;
const operators = { on: 'installation', allow: READERS } as const;
const { url: place, weight, drain } = replicaSchema.shape;
const replicaBody = replicaSchema.extend({
  url: place.exactOptional().describe('Base URL of this replica; a new one needs it.'),
  weight: weight.unwrap().exactOptional().describe('Share of the new work, relative to the others; of a new one 1.'),
  drain: drain.unwrap().exactOptional().describe('`true`: it keeps the tasks and conversations it has and gets no others.'),
});
const tag = 'agents';

export const replicaRoutes = [
  readRoute({
    path: '/v1/agents/{agent}/replicas',
    summary: 'Where an agent runs, and how each replica is',
    tag,
    access: operators,
    params,
    answer: { status: 200, schema: z.object({ data: agentStatsView.shape.replicas }) },
    handle: async ({ params, services }) => ({ body: { data: agentStatsShown(found(params.agent, services)).replicas } }),
  }),
  writeRoute({
    method: 'POST',
    path: '/v1/agents/{agent}/replicas',
    summary: 'Add a replica, or change the one of that id',
    tag,
    access: admins,
    params,
    body: replicaBody,
    answer: { status: 200, schema: agentView },
    audit: 'agent.replica.put',
    handle: ({ actor, params, body, services }) =>
      changeReplicas(actor, params.agent, services, (replicas) => withReplica(replicas, body)),
  }),
  writeRoute({
    method: 'DELETE',
    path: '/v1/agents/{agent}/replicas/{replica}',
    summary: 'Take a replica away; tasks that live there cannot be reached any more',
    tag,
    access: admins,
    params: replicaParams,
    answer: { status: 200, schema: agentView },
    audit: 'agent.replica.delete',
    handle: ({ actor, params, services }) =>
      changeReplicas(actor, params.agent, services, (replicas) => {
        requireReplica(replicas, params.replica);
        return replicas.filter(({ id }) => id !== params.replica);
      }),
  }),
  writeRoute({
    method: 'POST',
    path: '/v1/agents/{agent}/replicas/{replica}/drain',
    summary: 'Give a replica no new work; it keeps the tasks and conversations it has',
    tag,
    access: admins,
    params: replicaParams,
    body: z.strictObject({ drain: z.boolean().default(true).describe('`false`: new work again.') }),
    answer: { status: 200, schema: agentView },
    audit: 'agent.replica.drain',
    handle: ({ actor, params, body, services }) =>
      changeReplicas(actor, params.agent, services, (replicas) => {
        requireReplica(replicas, params.replica);
        return replicas.map((each) => (each.id === params.replica ? Object.assign({}, each, { drain: body.drain }) : each));
      }),
  }),
];

type Replicas = z.output<typeof replicaSchema>[];

/** What is not said of one that is there stays as it is. Throws invalid_request. */
function withReplica(replicas: Replicas, { id, url, ...more }: z.output<typeof replicaBody>): Replicas {
  const known = replicas.find((each) => each.id === id);
  const at = url ?? known?.url;
  if (at === undefined) throw new GatewayError('invalid_request', { details: { message: 'is missing', param: 'url' } });
  const next = { weight: 1, drain: false, ...known, id, url: at, ...more };
  return known === undefined ? [...replicas, next] : replicas.map((each) => (each === known ? next : each));
}

async function changeReplicas(
  actor: Actor,
  name: string,
  services: Services,
  change: (replicas: Replicas) => Replicas,
): Promise<Done<AgentShown>> {
  const before = writableRow(name, services);
  const known = settingsOf(before, services);
  const replicas = change(replicasIn(readSettings(known)));
  if (replicas.length === 0) throw new GatewayError('conflict', { details: { message: 'An agent needs a replica' } });
  const next = withoutMovedSecrets(known, { ...known, replicas }, {});
  return write(await acceptAgent(readSettings(next), { by: authorOf(actor), before }, services), services);
}

function requireReplica(replicas: Replicas, id: string): void {
  if (!replicas.some((each) => each.id === id)) {
    throw new GatewayError('not_found', { details: { message: `There is no replica \`${id.slice(0, 64)}\`` } });
  }
}
