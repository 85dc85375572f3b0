/** What facts say of agents: how often each answered and what that cost, and whose their tasks are and what they cost. */
import type { AgentCallFact } from '../../core/agent.ts';
import type { AgentTaskFact } from '../../core/fact.ts';
import type { ExchangeFact } from '../../core/exchange.ts';
import type { AgentTaskCostTable, AgentTaskTable, AgentTotalTable } from '../sql/tables/agents.ts';
import { clean } from './owners.ts';
import { inOrder, wholeNanoUsd } from './sums.ts';

export interface AgentSums {
  /** Throws RangeError where the cost is none. */
  call(fact: ExchangeFact, nanoUsd: number): void;
  task(fact: AgentTaskFact): void;
  /** In one order: whoever adds to the same rows takes them in it too. */
  totals(): AgentTotalTable[];
  tasks(): AgentTaskTable[];
  taskCosts(): AgentTaskCostTable[];
}

export function createAgentSums(): AgentSums {
  const totals = new Map<string, AgentTotalTable>();
  const tasks = new Map<string, AgentTaskTable>();
  const costs = new Map<string, AgentTaskCostTable>();
  const chargeTask = ({ agent: name, task: id }: AgentCallFact, nanoUsd: number): void => {
    if (id === undefined || nanoUsd === 0) return;
    const [agent, task] = [clean(name), clean(id)];
    const key = `${agent}\n${task}`;
    costs.set(key, { agent, task, nano_usd: (costs.get(key)?.nano_usd ?? 0) + wholeNanoUsd(nanoUsd) });
  };
  return {
    call({ agentCall, behindAgent }, nanoUsd) {
      if (agentCall !== undefined) chargeTask(agentCall, nanoUsd);
      const invocations = agentCall?.invoked === true ? 1 : 0;
      const name = invocations === 1 ? agentCall!.agent : behindAgent;
      if (name === undefined) return;
      const agent = clean(name);
      const row = totals.get(agent) ?? { agent, invocations: 0, nano_usd: 0 };
      totals.set(agent, {
        agent,
        invocations: row.invocations + invocations,
        nano_usd: row.nano_usd + wholeNanoUsd(nanoUsd),
      });
    },
    task({ record }) {
      const row = rowOf(record);
      const key = `${row.agent}\n${row.task}`;
      const known = tasks.get(key);
      tasks.set(key, known === undefined ? row : merged(known, row));
    },
    totals: () => inOrder(totals),
    tasks: () => inOrder(tasks),
    taskCosts: () => inOrder(costs),
  };
}

/**
 * The state that was seen last, of whoever had it first: by the times in the rows, since of the journals of two workers either may be imported before the other.
 * `MERGED_TASK` in sql/facts.ts says the same in SQL, of a row that is there already.
 */
function merged(known: AgentTaskTable, row: AgentTaskTable): AgentTaskTable {
  const born = row.created_at_ms < known.created_at_ms ? row : known;
  const [older, newer] = row.updated_at_ms < known.updated_at_ms ? [row, known] : [known, row];
  const { state, updated_at_ms } = newer;
  return { ...born, context: newer.context ?? older.context, state, updated_at_ms };
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
