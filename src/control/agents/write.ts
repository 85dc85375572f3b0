/** A change of an agent that is there: written, in force, shown. */
import type { Services } from '../contract/ports.ts';
import type { Done } from '../contract/route.ts';
import { late } from '../routes/resource.ts';
import type { Accepted } from './input.ts';
import { found, shownOf } from './seen.ts';
import type { AgentShown } from './view.ts';

export async function write(accepted: Accepted, services: Services): Promise<Done<AgentShown>> {
  const { config, row } = accepted;
  const before = shownOf(found(config.name, services), services);
  const { entry, inForce } = await services.agents.service.update(config, row);
  services.agents.keepPlaces(`agent:${config.name}`, config.rules);
  const view = shownOf(entry, services);
  const change = { target: `agent:${config.name}`, before, after: view };
  return { body: view, headers: { etag: `"${row.version}"` }, change, ...late(inForce) };
}
