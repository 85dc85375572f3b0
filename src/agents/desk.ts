/** The agents on the main thread: the registry, fed by the file and by the API, told to every worker, and asked by them. */
import type { AgentConfig, AgentNews, AgentQuestion, AgentState } from '../core/agent.ts';
import type { ExchangeFact } from '../core/exchange.ts';
import { effectiveStateOf } from './entry.ts';
import { type News, createNews } from './news.ts';
import { AgentRegistry, type RegistryParts } from './registry.ts';
import type { PushDesk } from './push-desk.ts';
import { type AgentService, type ServiceParts, createAgentService } from './changes.ts';
import { type SendBook, createSendBook } from './sends.ts';
import { type ShelfParts, createShelf } from './shelf.ts';
import { type TaskIndex, createTaskIndex } from './tasks.ts';
import { witnessOf } from './witness.ts';

export interface AgentDeskParts
  extends
    Pick<RegistryParts, 'probe' | 'nowMs' | 'random' | 'onEvent'>,
    Omit<ShelfParts, 'registry'>,
    Pick<ServiceParts, 'fill'> {
  push: PushDesk;
  /** Hands news to every worker. True: all know. */
  tell: (news: AgentNews) => Promise<boolean>;
}

export interface AgentDesk {
  readonly service: AgentService;
  readonly tasks: TaskIndex;
  /** Reads what the API registered, and what was counted. Rejects with StoreError. */
  load: () => Promise<void>;
  /** The file's agents, as they are now; every worker knows of them after. */
  useFile: (configs: readonly AgentConfig[]) => Promise<void>;
  /** All, for a worker that knows nothing. */
  whole: () => AgentNews;
  answer: (question: AgentQuestion) => Promise<unknown>;
  /** As callers meet them. */
  states: () => { agent: string; state: AgentState }[];
  /** A call is over. */
  observe: (fact: ExchangeFact) => void;
  /** Probes as their intervals pass, those of a start at once, spread a little; sends what waits. Answers how to stop. */
  start: () => () => void;
}

/** As the ledger counts it: attempts that failed may have cost something too. */
function chargedFor(attempts: ExchangeFact['attempts']): number {
  return attempts.reduce((sum, { spend }) => sum + (spend?.nanoUsd ?? 0), 0);
}

/** After a start everything is Unknown; whoever is asked for is looked at at once, the others within so long. */
const SOON_MS = 5_000;

export function createAgentDesk(parts: AgentDeskParts): AgentDesk {
  const news = createNews(() => registry, parts.tell);
  const registry: AgentRegistry = new AgentRegistry({ ...parts, onChange: news.note });
  const shelf = createShelf({ ...parts, registry });
  const tasks = createTaskIndex(parts.store, parts.nowMs);
  return {
    service: createAgentService({ ...parts, registry, shelf, news }),
    tasks,
    load: shelf.load,
    async useFile(configs) {
      shelf.useFile(configs);
      await parts.fill();
      await news.publish();
    },
    whole: news.whole,
    answer: createAnswer({ registry, news, tasks, sends: createSendBook(parts.nowMs), push: parts.push }),
    states: () => registry.list().map((entry) => ({ agent: entry.config.name, state: effectiveStateOf(entry) })),
    observe({ agentCall, behindAgent, attempts, scopes = [], costNanoUsd = 0, atMs, totalMs }) {
      if (behindAgent !== undefined) registry.recordInvocation(behindAgent, chargedFor(attempts), 0);
      if (agentCall === undefined) return;
      const { agent, generation, invoked, verdicts, messageHash } = agentCall;
      if (invoked === true) registry.recordInvocation(agent, costNanoUsd);
      if (verdicts.length === 0) return;
      const endedAtMs = atMs + totalMs;
      registry.observeCall(agent, { generation, caller: witnessOf(scopes), message: messageHash, endedAtMs, verdicts });
    },
    start() {
      registry.checkSoon(SOON_MS);
      const stops = [registry.startHealthCheckTask(), parts.push.start()];
      return () => stops.forEach((stop) => stop());
    },
  };
}

interface Known {
  registry: AgentRegistry;
  news: News;
  tasks: TaskIndex;
  sends: SendBook;
  push: PushDesk;
}

/** What workers ask. */
function createAnswer({ registry, news, tasks, sends, push }: Known): AgentDesk['answer'] {
  return async (question) => {
    switch (question.ask) {
      case 'look':
        await registry.getForRouting(question.agent);
        // News go before the answer, by the same way.
        void news.publish();
        return true;
      case 'trial':
        if (registry.admitTrial(question.agent, question.replica)) return true;
        await registry.trialEnded(question.agent, question.replica);
        void news.publish();
        return false;
      case 'observe':
        registry.observeCall(question.agent, question.call);
        return news.publish();
      case 'claim':
        return sends.claim(question.claim);
      case 'sent':
        return sends.settle(question.key, question.outcome);
      case 'learn':
        return tasks.learn(question.record);
      case 'task':
        return tasks.task(question.agent, question.task);
      case 'context':
        return tasks.taskOfContext(question.agent, question.context);
      case 'tasks':
        return tasks.list(question);
      default:
        return push.answer(question);
    }
  };
}
