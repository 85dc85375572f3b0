/** The agents that are models, with what they need of this process: the registry, the workers' sockets, and what is known of targets. */
import { randomUUID } from 'node:crypto';

import { createModelAgents } from '../agents/model/handler.ts';
import type { AgentDesk } from '../agents/desk.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { workerSocketPath } from '../core/agent-behind.ts';
import { GatewayError } from '../core/errors.ts';
import { candidateId } from '../routing/candidate.ts';
import { type ResolvedModel, createResolve } from '../routing/resolve.ts';
import type { Control } from './messages.ts';
import { targetStatus } from './place-book.ts';
import type { SharedOverview } from './shared-state.ts';

export interface ModelAgentsParts {
  controlSocketPath: string;
  control: Pick<Control, 'send'>;
  agents: AgentDesk;
  shared: Pick<SharedOverview, 'targets'>;
  snapshot: () => Snapshot;
}

export function openModelAgents({ controlSocketPath, control, agents, shared, snapshot }: ModelAgentsParts): Control['extra'] {
  return createModelAgents({
    agentOf: (name) => agents.service.registry.get(name)?.config,
    isServed: (model) => isServed(model, snapshot(), targetStatus(shared, snapshot())),
    send: control.send,
    socketOf: (worker) => workerSocketPath(controlSocketPath, worker),
    newId: randomUUID,
    nowMs: Date.now,
  });
}

/** A target of the model, or of one that it falls back to, may be tried: its breaker is not open. */
function isServed(model: string, snapshot: Snapshot, targets: readonly { target: string; state: string }[]): boolean {
  const open = new Set(targets.flatMap(({ target, state }) => (state === 'open' ? [target] : [])));
  const names = new Set([model]);
  for (const name of names) {
    const resolved = modelNamed(name, snapshot);
    if (resolved === undefined) continue;
    if (placesOf(resolved, snapshot).some((place) => !open.has(place))) return true;
    for (const next of Object.values(resolved.model.routing.fallbacks).flat()) names.add(next);
  }
  return false;
}

function placesOf({ targets }: ResolvedModel, { providers }: Snapshot): string[] {
  return targets.flatMap(({ configuredId, id, provider }) =>
    (providers[provider]?.endpoints ?? []).map((_, index) => candidateId(configuredId ?? id, index)),
  );
}

const NOBODY = {} as Parameters<ReturnType<typeof createResolve>>[1];

/** By its name, an alias, or a wildcard. */
export function modelNamed(name: string, { models }: Snapshot): ResolvedModel | undefined {
  try {
    return createResolve(models, () => true)(name, NOBODY);
  } catch (thrown) {
    if (thrown instanceof GatewayError && thrown.code === 'model_not_found') return undefined;
    throw thrown;
  }
}
