/** What facts say of agents: how often each answered and what that cost, and whose their tasks are. */
import type { AgentTaskFact } from '../../core/fact.ts';
import type { ExchangeFact } from '../../core/exchange.ts';
import type { AgentTaskTable, AgentTotalTable } from '../sql/tables/agents.ts';
import { clean } from './owners.ts';
import { inOrder } from './sums.ts';

export interface AgentSums {
  call(fact: ExchangeFact, nanoUsd: number): void;
  task(fact: AgentTaskFact): void;
  /** In one order: whoever adds to the same rows takes them in it too. */
  totals(): AgentTotalTable[];
  tasks(): AgentTaskTable[];
}

export function createAgentSums(): AgentSums {
  const totals = new Map<string, AgentTotalTable>();
  const tasks = new Map<string, AgentTaskTable>();
  return {
    call({ agentCall }, nanoUsd) {
      if (agentCall?.invoked !== true) return;
      const agent = clean(agentCall.agent);
      const row = totals.get(agent) ?? { agent, invocations: 0, nano_usd: 0 };
      totals.set(agent, { agent, invocations: row.invocations + 1, nano_usd: row.nano_usd + nanoUsd });
    },
    task({ record }) {
      const row = rowOf(record);
      const key = `${row.agent}\n${row.task}`;
      const known = tasks.get(key);
      if (known === undefined) tasks.set(key, row);
      else if (known.updated_at_ms <= row.updated_at_ms) {
        tasks.set(key, { ...known, state: row.state, context: row.context ?? known.context, updated_at_ms: row.updated_at_ms });
      }
    },
    totals: () => inOrder(totals),
    tasks: () => inOrder(tasks),
  };
}

function rowOf({
  agent,
  task,
  context,
  replica,
  owner,
  team,
  endUser,
  state,
  createdAtMs,
  updatedAtMs,
}: AgentTaskFact['record']): AgentTaskTable {
  return {
    agent: clean(agent),
    task: clean(task),
    context: context === undefined ? null : clean(context),
    replica: clean(replica),
    owner: clean(owner),
    team: team ?? null,
    end_user: endUser === undefined ? null : clean(endUser),
    state: clean(state),
    created_at_ms: Math.floor(createdAtMs),
    updated_at_ms: Math.floor(updatedAtMs),
  };
}
