/** A Signalbox in front of agents, and what tests ask it. */
import { type Signalbox, startSignalbox } from './signalbox.ts';

export const AGENT_KEYS = {
  KEY: 'key-of-the-caller-0001',
  OTHER_KEY: 'key-of-the-caller-0002',
  NARROW_KEY: 'key-of-the-caller-0003',
  ADMIN_KEY: 'key-of-the-operator-01',
};

export interface AgentBox {
  box: Signalbox;
  /** Under which an agent is called. */
  urlOf: (agent: string) => string;
  /** JSON-RPC to an agent. */
  rpc: (agent: string, method: string, params: object, options?: RpcOptions) => Promise<RpcAnswer>;
  /** As the control plane shows it. */
  agent: (name: string) => Promise<Record<string, unknown>>;
  admin: (
    method: string,
    path: string,
    body?: object,
  ) => Promise<{ status: number; body: Record<string, unknown>; headers: Headers }>;
  /** Once the agent is as wished, at most five seconds later. */
  until: (name: string, wished: (agent: Record<string, unknown>) => boolean) => Promise<Record<string, unknown>>;
  config: (agents: readonly object[], more?: object) => string;
  close: () => Promise<void>;
}

export interface RpcOptions {
  key?: keyof typeof AGENT_KEYS;
  headers?: Record<string, string>;
  id?: string | number;
}

export interface RpcAnswer {
  status: number;
  headers: Headers;
  body: { result?: Record<string, unknown>; error?: { code: number; message: string; data?: unknown } };
}

export interface AgentBoxOptions {
  workers?: number;
  /** Further sections of the configuration. */
  more?: object;
  env?: Record<string, string>;
  /** To start on again. */
  dataDir?: string;
}

export async function startAgentBox(
  agents: readonly object[],
  { workers = 1, more = {}, env = {}, dataDir }: AgentBoxOptions = {},
): Promise<AgentBox> {
  const config = (own: readonly object[], others: object = more): string => configText(own, { workers, ...others });
  const box = await startSignalbox({
    config: config(agents),
    env: { ...AGENT_KEYS, ...env },
    ...(dataDir !== undefined && { dataDir }),
  });
  const urlOf = (agent: string): string => `${box.url}/a2a/${agent}`;
  const admin: AgentBox['admin'] = async (method, path, body) => {
    const response = await fetch(box.url + path, {
      method,
      headers: { authorization: `Bearer ${AGENT_KEYS.ADMIN_KEY}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: response.status, headers: response.headers, body: (await response.json()) as Record<string, unknown> };
  };
  const agent = async (name: string): Promise<Record<string, unknown>> => (await admin('GET', `/v1/agents/${name}`)).body;
  return {
    box,
    urlOf,
    admin,
    agent,
    config,
    rpc: async (name, method, params, { key = 'KEY', headers = {}, id = 1 } = {}) => {
      const response = await fetch(urlOf(name), {
        method: 'POST',
        headers: { authorization: `Bearer ${AGENT_KEYS[key]}`, 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
      });
      return { status: response.status, headers: response.headers, body: (await response.json()) as RpcAnswer['body'] };
    },
    until: async (name, wished) => {
      for (const deadline = Date.now() + 5_000; ;) {
        const now = await agent(name);
        if (wished(now)) return now;
        if (Date.now() > deadline) throw new Error(`the agent is still ${JSON.stringify(now)}`);
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    },
    close: async () => {
      await box.stop();
    },
  };
}

function configText(agents: readonly object[], { workers, ...more }: { workers: number }): string {
  return JSON.stringify({
    server: { workers },
    admin: { key: '${env:ADMIN_KEY}' },
    keys: [
      { name: 'caller', key: '${env:KEY}', agents: ['*'] },
      { name: 'other', key: '${env:OTHER_KEY}', agents: ['*'] },
      { name: 'narrow', key: '${env:NARROW_KEY}', agents: ['tag:open'] },
    ],
    agents,
    ...more,
  });
}
