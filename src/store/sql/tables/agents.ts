/** Agents as rows. Times are epoch ms. */
export interface AgentTables {
  agents: {
    name: string;
    version: number;
    at_ms: number;
    by_actor: string;
    content_json: string;
    sealed: string | null;
  };
  agent_switches: {
    agent: string;
    enabled: number;
    file_says: number;
    at_ms: number;
    by_actor: string;
  };
  agent_totals: AgentTotalTable;
  agent_tasks: AgentTaskTable;
  agent_task_costs: AgentTaskCostTable;
}

export interface AgentTotalTable {
  agent: string;
  invocations: number;
  nano_usd: number;
}

/** Beside the tasks, since of the journals of two workers either may be imported first. */
export interface AgentTaskCostTable {
  agent: string;
  task: string;
  nano_usd: number;
}

export interface AgentTaskTable {
  agent: string;
  task: string;
  context: string | null;
  replica: string;
  owner: string;
  team: string | null;
  end_user: string | null;
  state: string;
  created_at_ms: number;
  updated_at_ms: number;
}
