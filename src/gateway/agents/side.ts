/** What all calls to agents in a worker share. */
import { type AgentBook } from '../../agents/book.ts';
import { type PushBodies, createPushBodies } from '../../agents/a2a/push-body.ts';
import type { Translator } from '../../agents/a2a/translate.ts';
import type { AgentView, AskAgents, TaskRecord } from '../../core/agent.ts';
import type { Endpoint } from '../../core/target.ts';
import { type Lru, createLru } from '../../lib/lru.ts';
import { type Hops, createHops } from './hops.ts';

export interface AgentSide {
  book: AgentBook;
  ask: AskAgents;
  translator: Translator;
  pushBodies: PushBodies;
  loads: ReplicaLoads;
  endpointOf: (view: AgentView, origin: string) => Endpoint;
  /** Tasks that this worker has met: where they live and whose they are never changes. */
  tasks: Lru<string, TaskRecord>;
  /** How long sends to a replica take, ms: of the latest ones, rather the slowest. */
  paces: Lru<string, number>;
  /** Tasks that were looked for at all replicas and are nowhere, until when. */
  absent: Lru<string, number>;
  hopsOf: (pepper: string) => Hops;
}

export interface AgentSideParts {
  book: AgentBook;
  ask: AskAgents;
  translator: Translator;
  /** Behind it are the agents that are models. */
  controlSocketPath: string;
}

const MAX_TASKS = 20_000;
const MAX_ABSENT = 5_000;
const MAX_ENDPOINTS = 2_000;

export function createAgentSide({ controlSocketPath, ...parts }: AgentSideParts): AgentSide {
  const endpoints = createLru<string, Endpoint>(MAX_ENDPOINTS);
  let hops: { pepper: string; made: Hops } | undefined;
  return {
    ...parts,
    pushBodies: createPushBodies(),
    loads: createReplicaLoads(),
    tasks: createLru<string, TaskRecord>(MAX_TASKS),
    paces: createLru<string, number>(MAX_ENDPOINTS),
    absent: createLru<string, number>(MAX_ABSENT),
    endpointOf(view, origin) {
      const key = `${view.generation} ${origin}`;
      const known = endpoints.get(key);
      if (known !== undefined) return known;
      const { headers, outside, model, socketPath = model && controlSocketPath } = view.config;
      const endpoint: Endpoint = {
        baseUrl: origin,
        headers,
        weight: 1,
        ...(outside === true && model === undefined && { outside: true as const }),
        ...(socketPath !== undefined && { socketPath }),
      };
      endpoints.set(key, endpoint);
      return endpoint;
    },
    hopsOf(pepper) {
      if (hops?.pepper !== pepper) hops = { pepper, made: createHops(pepper) };
      return hops.made;
    },
  };
}

/** How busy replicas are, as far as this worker asks them: calls under way, streams until they end. */
export interface ReplicaLoads {
  began(replica: string): void;
  ended(replica: string): void;
  underWay(replica: string): number;
}

function createReplicaLoads(): ReplicaLoads {
  const loads = new Map<string, number>();
  const underWay = (replica: string): number => loads.get(replica) ?? 0;
  return {
    began: (replica) => void loads.set(replica, underWay(replica) + 1),
    ended(replica) {
      const left = underWay(replica) - 1;
      if (left > 0) loads.set(replica, left);
      else loads.delete(replica);
    },
    underWay,
  };
}
