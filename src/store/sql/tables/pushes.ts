/** Push notifications as rows. Times are epoch ms. */
export interface PushTables {
  agent_pushes: AgentPushTable;
  agent_push_deliveries: AgentPushDeliveryTable;
}

export interface AgentPushTable {
  push: string;
  agent: string;
  task: string | null;
  config_id: string;
  version: string;
  replica: string | null;
  owner: string;
  team: string | null;
  end_user: string | null;
  sealed: string;
  created_at_ms: number;
}

export interface AgentPushDeliveryTable {
  push: string;
  digest: string;
  seq: number;
  /** `waiting`, `done`, `dead` */
  state: string;
  tries: number;
  due_at_ms: number;
  /** Null: nothing is left to send. */
  sealed: string | null;
  /** Of what is dead. */
  reason: string | null;
}
