/**
 * What an agent is: its configuration as everybody but the file and the API sees it, the states it is held in, and what crosses between the registry (main) and the
 * workers that call it. Plain data.
 */
import type { NanoUsd } from './money.ts';
import type { PushQuestion } from './push.ts';
import type { Rules } from './rules.ts';

export const AGENT_STATES = ['unknown', 'healthy', 'degraded', 'unhealthy', 'disabled'] as const;
export type AgentState = (typeof AGENT_STATES)[number];

/**
 * Why it is in its state. `unverified`: the probe found no endpoint (404, 405), which says nothing of calls; ranking and alerts ignore it. `operator`: somebody
 * said so.
 */
export const STATE_REASONS = ['unverified', 'slow', 'errors', 'unreachable', 'operator'] as const;
export type StateReason = (typeof STATE_REASONS)[number];

/** Agents in these states take new work. */
export function isAvailable(state: AgentState): boolean {
  return state === 'healthy' || state === 'degraded';
}

/** Down by what it answers, or does not; connections it takes. */
export function isReachable(reason: StateReason | undefined): boolean {
  return reason === 'errors' || reason === 'slow';
}

/** Who makes the agent. All that we have an adapter for speak A2A themselves. */
export const AGENT_PROVIDERS = {
  a2a: { label: 'A2A', aliases: ['a2a', 'generic'], adapter: true },
  langgraph: { label: 'LangGraph', aliases: ['langgraph', 'langchain'], adapter: true },
  vertex_ai: { label: 'Vertex AI Agent Engine', aliases: ['vertex', 'vertexai', 'vertex_ai', 'google'], adapter: false },
  azure_ai_foundry: { label: 'Azure AI Foundry', aliases: ['azure', 'azureai', 'azure_ai_foundry'], adapter: false },
  bedrock_agentcore: { label: 'Bedrock AgentCore', aliases: ['bedrock', 'aws', 'bedrock_agentcore'], adapter: false },
  pydantic_ai: { label: 'Pydantic AI', aliases: ['pydantic', 'pydanticai', 'pydantic_ai'], adapter: true },
  custom: { label: 'Custom', aliases: ['custom'], adapter: true },
} as const;
export type AgentProvider = keyof typeof AGENT_PROVIDERS;

/** By any of its names, in any case; undefined: nobody knows it. */
export function agentProviderNamed(name: string): AgentProvider | undefined {
  const wanted = name.toLowerCase();
  const found = Object.entries(AGENT_PROVIDERS).find(([, { aliases }]) => (aliases as readonly string[]).includes(wanted));
  return found?.[0] as AgentProvider | undefined;
}

export interface AgentCapabilities {
  streaming: boolean;
  pushNotifications: boolean;
  taskCancellation: boolean;
  multiTurn: boolean;
  fileAttachments: boolean;
  /** Characters of text in a message. */
  maxInputLength?: number;
  inputTypes: readonly string[];
  outputTypes: readonly string[];
}

export interface ReplicaConfig {
  id: string;
  /** Base URL; what the card says of paths holds there too. */
  url: string;
  weight: number;
  /** It keeps the tasks it has and gets no new ones. */
  drain: boolean;
}

export interface AgentHealthConfig {
  /** `auto`: the card where one is known, else the URL. */
  mode: 'auto' | 'card' | 'url' | 'off';
  /** Absent: the agent's. */
  url?: string;
  intervalMs: number;
  timeoutMs: number;
  /** A probe that takes longer makes it Degraded. */
  slowMs: number;
  /** Probes in a row that it takes to leave, and to come back. */
  unhealthyThreshold: number;
  healthyThreshold: number;
}

/** Who may see a task beside the principal that made it. */
export const TASK_SCOPES = ['principal', 'team', 'agent'] as const;
export type TaskScope = (typeof TASK_SCOPES)[number];

export interface AgentConfig {
  name: string;
  provider: AgentProvider;
  /** Base URL; calls go where the card says, and here where there is none. */
  url: string;
  cardUrl?: string;
  /** What is spoken there where no card says it; `auto`: as the card says, else 0.3. */
  protocol: 'auto' | '1.0' | '0.3';
  binding: 'auto' | 'jsonrpc' | 'http_json';
  /** At least one. */
  replicas: readonly ReplicaConfig[];
  /** Sent with every call, credentials included; lower case names. Secret. */
  headers: Readonly<Record<string, string>>;
  /** Names of the client's headers that go on to the agent. */
  forwardHeaders: readonly string[];
  timeoutMs: number;
  idleTimeoutMs: number;
  enabled: boolean;
  description?: string;
  capabilities: AgentCapabilities;
  /** What somebody wrote that it cannot do. */
  refuses: { cancel?: true; followUps?: true; files?: true };
  costPerRequestNanoUsd?: NanoUsd;
  tags: readonly string[];
  taskScope: TaskScope;
  /** Sends go there even if it is Unhealthy. */
  failOpen: boolean;
  /** Origins that its card may send calls to, beside its own. */
  allowOrigins: readonly string[];
  /** URLs of key sets whose keys sign its card. */
  cardKeys: readonly string[];
  health: AgentHealthConfig;
  /** Limits and budgets of the agent, with their places. */
  rules?: Rules;
  /** The address came over the API: it is checked at every connection. */
  outside?: true;
  /** It lives in this process, behind the control plane's socket. */
  socketPath?: string;
  /** It is a model of this configuration, and `url` is main. */
  model?: ModelBehind;
}

/** Whether its card is looked for: those who are not looked at, or at their URL only, spare that unless it is said where the card is. */
export function readsCard({ cardUrl, health: { mode } }: Pick<AgentConfig, 'cardUrl' | 'health'>): boolean {
  return cardUrl !== undefined || mode === 'auto' || mode === 'card';
}

/** The model that an agent is. */
export interface ModelBehind {
  name: string;
  /** What it is told before every conversation. */
  instructions?: string;
  /** Shown on its card; empty: one of the agent's own name. */
  skills: readonly AgentSkill[];
}

export interface AgentSkill {
  id: string;
  name: string;
  description: string;
  tags: readonly string[];
  examples: readonly string[];
}

/** Where an agent can be reached, and how. `url`: absolute. */
export interface AgentInterface {
  url: string;
  binding: 'JSONRPC' | 'HTTP+JSON';
  version: '1.0' | '0.3';
  tenant?: string;
}

/** A replica as workers call it. */
export interface ReplicaView {
  id: string;
  url: string;
  weight: number;
  drain: boolean;
  state: AgentState;
  reason?: StateReason;
  /** In the order of the card; at least one. */
  interfaces: readonly AgentInterface[];
}

/** An agent as workers know it. A later one of the same name takes its place whole. */
export interface AgentView {
  name: string;
  /** Grows with every registration and change of configuration of any agent: tells two of the same name apart. */
  generation: number;
  /** As configured, without what only the registry needs. */
  config: Omit<AgentConfig, 'replicas' | 'health'>;
  /** Of the best replica. */
  state: AgentState;
  reason?: StateReason;
  replicas: readonly ReplicaView[];
  /** As the agent serves it; absent: none was found. */
  card?: Readonly<Record<string, unknown>>;
  streaming: boolean;
  /** It calls back, by its card's word. */
  pushes: boolean;
  /** When the next probe is due at the latest, wall clock. */
  nextProbeAtMs: number;
}

export interface AgentNews {
  type: 'agents';
  version: number;
  /** All there are: takes the place of everything before. */
  whole?: true;
  changed: readonly AgentView[];
  removed: readonly string[];
  /** Agents whose calls under way end now. */
  cut?: readonly string[];
}

/** Where a task lives and whose it is. */
export interface TaskRecord {
  agent: string;
  task: string;
  context?: string;
  replica: string;
  /** Id of the principal, or of the key at the head of its line. */
  owner: string;
  team?: string;
  endUser?: string;
  /** As 0.3 writes it: `input-required`. */
  state: string;
  createdAtMs: number;
  updatedAtMs: number;
}

/** How a call went, as far as it says something of the agent. `none`: the caller's own error. `lost`: whether it arrived is not known. */
export type CallVerdict = 'ok' | 'hard' | 'slow' | 'failing' | 'none';

export interface ObservedCall {
  generation: number;
  /** Of the key. */
  caller: string;
  /** Equal ones are the same message. */
  message?: number | undefined;
  /** Wall clock. Workers tell in their own time, so that what happened first may be told last. Absent: now. */
  endedAtMs?: number;
  verdicts: readonly { replica: string; verdict: CallVerdict; unreachable?: true }[];
}

/** What the data plane records of a call to an agent, beside what it records of every exchange. */
export interface AgentCallFact {
  agent: string;
  generation: number;
  operation: string;
  binding: AgentInterface['binding'];
  version: AgentInterface['version'];
  /** Absent: nobody was asked. */
  replica?: string;
  upstreamVersion?: AgentInterface['version'];
  upstreamBinding?: AgentInterface['binding'];
  /** It was a send that the agent answered. */
  invoked?: true;
  task?: string;
  context?: string;
  taskState?: string;
  /** Per replica that was asked, in order. */
  verdicts: readonly { replica: string; verdict: CallVerdict; unreachable?: true }[];
  /** Of the message: equal ones are the same. */
  messageHash?: number;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** The complaint about a name; undefined: it is one. */
export function agentNameProblem(name: string): string | undefined {
  if (name === '') return 'Agent name cannot be empty';
  return NAME.test(name)
    ? undefined
    : 'Agent name must begin with a letter or digit and have at most 63 letters, digits, `.`, `_` and `-`';
}

/** The complaint about a URL as far as its text tells; where it leads is the egress's to judge. */
export function agentUrlProblem(url: string): string | undefined {
  if (url === '') return 'Agent URL cannot be empty';
  if (!/^https?:\/\//i.test(url)) return `Agent URL must start with http:// or https://, got: ${url.slice(0, 200)}`;
  const parsed = URL.parse(url);
  if (parsed === null || parsed.hostname === '') return `Agent URL has an invalid or missing host: ${redacted(url)}`;
  if (parsed.username !== '' || parsed.password !== '')
    return `Agent URL must hold no user and no password; use \`api_key\` or \`headers\`: ${redacted(url)}`;
  if (parsed.hash !== '') return `Agent URL must have no fragment: ${redacted(url)}`;
  return undefined;
}

/** What stands before an `@` may be a secret. */
function redacted(url: string): string {
  return url.replace(/\/\/[^/?#]*@/, '//…@').slice(0, 200);
}

/** What a worker asks main about agents. */
export type AgentQuestion =
  /** That it be looked at, if nobody has; its news come before the answer. */
  | { ask: 'look'; agent: string }
  /** Whether one send may try an Unhealthy replica: boolean. False comes once the trial under way has ended. */
  | { ask: 'trial'; agent: string; replica: string }
  /** What a trial has shown, before its caller has the answer: whoever asks next finds the agent as it is. */
  | { ask: 'observe'; agent: string; call: ObservedCall }
  /** Whether a message is new: Claimed. */
  | { ask: 'claim'; claim: SendClaim }
  /** What came of it. */
  | { ask: 'sent'; key: string; outcome: SendOutcome }
  /** That every worker can know of the task from now on. Answers the record in force. */
  | { ask: 'learn'; record: TaskRecord }
  /** TaskRecord or undefined. */
  | { ask: 'task'; agent: string; task: string }
  /** The latest task of the context. */
  | { ask: 'context'; agent: string; context: string }
  /** TaskPage: the latest first. */
  | ({ ask: 'tasks' } & TaskFilter)
  | PushQuestion;

/** A message that is about to be sent. */
export interface SendClaim {
  /** Its sender, its agent and its id. */
  key: string;
  /** Equal ones are the same message. */
  body: number;
  /** So long whoever repeats it waits for what the first one comes to. */
  waitMs: number;
}

export type SendOutcome =
  | { is: 'task'; task: string }
  /** JSON of the message that was answered. `shape`: of the calls that it is an answer to. */
  | { is: 'answer'; answer: string; shape: string }
  /** It was answered, with more than is kept. */
  | { is: 'gone' }
  /** It may be sent again. */
  | { is: 'nothing' };

/** `another`: the id stands for another message. `under_way`: nothing has come of the first one yet. */
export type Claimed = { is: 'yours' | 'another' | 'under_way' } | SendOutcome;

export interface TaskFilter {
  agent: string;
  /** Absent: everybody's. */
  owner?: string;
  state?: string;
  /** Of those whose state is at least as new, wall clock. */
  sinceMs?: number;
  context?: string;
  /** `next` of the page before. */
  after?: string;
  limit: number;
}

export interface TaskPage {
  rows: TaskRecord[];
  next?: string;
}

export type AskAgents = (question: AgentQuestion) => Promise<unknown>;

/** `*`, `tag:x`, or the very name. */
export function coversAgent(grants: readonly string[], { name, tags }: { name: string; tags: readonly string[] }): boolean {
  return grants.some((grant) => grant === '*' || grant === name || (grant.startsWith('tag:') && tags.includes(grant.slice(4))));
}

/** An agent's own limits and budgets, as a list of what holds. */
export function rulesOfAgent({ config: { rules } }: AgentView): readonly Rules[] {
  return rules === undefined ? [] : [rules];
}

const CONVERSATION = 'context:';

/** What stands in the index for a conversation without a task: whose it is and where it lives must be found by its next word. */
export function conversationTask(context: string): string {
  return CONVERSATION + context;
}

export function isConversation(task: string): boolean {
  return task.startsWith(CONVERSATION);
}
