/** An agent, as it stands in the file under `agents` and as the API takes it. Names and defaults are the seed's where it has them. */
import * as z from 'zod';

import { AGENT_PROVIDERS, TASK_SCOPES, agentNameProblem, agentProviderNamed, agentUrlProblem } from '../core/agent.ts';
import { int, text } from './schema-parts.ts';
import { budgetSchema } from './schema-rules.ts';
import * as values from './values.ts';

const MAX_MS = 86_400_000;
const MAX_USD_PER_REQUEST = 1_000;

const provider = text((name) => agentProviderProblem(name))
  .default('a2a')
  .transform((name) => agentProviderNamed(name)!)
  .describe(
    'Who makes the agent; what speaks A2A by itself can be called: `a2a` (or `generic`), `langgraph`, `pydantic_ai`, `custom`.',
  );

/** `AGENT_PROVIDER_UNSUPPORTED` is how callers of the API tell this refusal from others. */
function agentProviderProblem(name: string): string | undefined {
  const found = agentProviderNamed(name);
  if (found === undefined) return `Unknown agent provider: ${name.slice(0, 64)}`;
  const { adapter, label } = AGENT_PROVIDERS[found];
  return adapter
    ? undefined
    : `AGENT_PROVIDER_UNSUPPORTED: there is no adapter for ${label}; an endpoint of it that speaks A2A is provider \`a2a\``;
}

const types = z.array(text()).max(64);

const capabilities = z
  .strictObject({
    streaming: z.boolean().default(false).describe('It streams. Shown where it has no card.'),
    push_notifications: z.boolean().default(false).describe('It sends push notifications. Counts where it has no card.'),
    task_cancellation: z.boolean().exactOptional().describe('`false`: cancelling is refused.'),
    multi_turn: z.boolean().exactOptional().describe('`false`: messages to an existing task or context are refused.'),
    file_attachments: z.boolean().exactOptional().describe('`false`: messages with files are refused.'),
    max_input_length: int(1, 1_000_000_000).exactOptional().describe('Most characters of text in a message.'),
    input_types: types.default([]).describe('What it takes: `text`, `text/plain`, `image/png`. Shown where it has no card.'),
    output_types: types.default([]).describe('What it answers. Shown where it has no card.'),
  })
  .describe('What the agent can do, where its card does not say it.');

export const replicaSchema = z.strictObject({
  id: text((id) => (/^[A-Za-z0-9._-]{1,64}$/.test(id) ? undefined : 'has 1 to 64 letters, digits, `.`, `_` and `-`')).describe(
    'Its name among the replicas.',
  ),
  url: text(agentUrlProblem).describe('Base URL of this replica.'),
  weight: z
    .number()
    .min(0)
    .max(1_000_000)
    .default(1)
    .describe('Share of the new work, relative to the others; 0: none while another may.'),
  drain: z.boolean().default(false).describe('`true`: it keeps the tasks and conversations it has and gets no others.'),
});

const health = z
  .strictObject({
    mode: z
      .enum(['auto', 'card', 'url', 'off'])
      .default('auto')
      .describe(
        'What tells how it is: `card` its card, `url` its URL, `auto` the card where one is found, else the URL; `off`: only calls. With `url` and `off` no card is read unless `card_url` says where it is.',
      ),
    url: text(agentUrlProblem).exactOptional().describe('This URL tells instead; the card is read beside it.'),
    interval_s: z.number().min(0.1).max(86_400).default(30).describe('How often, in seconds.'),
    timeout_ms: int(1, 300_000).default(10_000).describe('How long it may take; then it is unhealthy.'),
    slow_ms: int(1, MAX_MS).default(5_000).describe('From so long an answer makes the agent Degraded.'),
    unhealthy_threshold: int(1, 100).default(1).describe('So many bad answers in a row make it Unhealthy.'),
    healthy_threshold: int(1, 100).default(1).describe('So many good answers in a row bring it back.'),
  })
  .prefault({})
  .describe('How it is found out how the agent is, beside its answers to callers.');

const MAX_INSTRUCTIONS = 65_536;

const skill = z.strictObject({
  id: text().describe('Unique among the skills of the agent.'),
  name: text().describe('For people.'),
  description: text().describe('What it does.'),
  tags: z.array(text()).max(32).default([]).describe('Words that it is found by.'),
  examples: z.array(text()).max(32).default([]).describe('What one could ask.'),
});

const limits = z
  .strictObject({
    rpm: int(0, 1_000_000_000).exactOptional().describe('Calls in any 60 seconds.'),
    concurrent: int(0, 1_000_000_000).exactOptional().describe('Calls under way at once, streams included.'),
  })
  .describe('How much is allowed at most, over all callers.');

export const agentSchema = z.strictObject({
  name: text(agentNameProblem).describe('How callers name it: `/a2a/{name}`, `a2a/{name}` as a model.'),
  provider,
  model: text((name) => (name.startsWith('a2a/') ? 'an agent is no model of an agent; name a model under `models`' : undefined))
    .exactOptional()
    .describe('A model of this configuration that serves as the agent, instead of `url`, `card_url` and `replicas`.'),
  instructions: text((value) => (value.length > MAX_INSTRUCTIONS ? `has at most ${MAX_INSTRUCTIONS} characters` : undefined))
    .exactOptional()
    .describe('What `model` is told before every conversation.'),
  skills: z
    .array(skill)
    .max(64)
    .exactOptional()
    .describe('What the card of a `model` shows. Absent: one skill of the agent’s own name.'),
  url: text(agentUrlProblem)
    .exactOptional()
    .describe('Base URL of the agent; absent: that of `card_url`, or of the first replica.'),
  card_url: text(agentUrlProblem)
    .exactOptional()
    .describe('Where its card is. Absent: `/.well-known/agent-card.json` and `agent.json` at `url`, then at its origin.'),
  protocol: z
    .enum(['auto', '1.0', '0.3'])
    .default('auto')
    .describe('Which version is spoken to it. `auto`: as its card says, else 0.3.'),
  binding: z
    .enum(['auto', 'jsonrpc', 'http_json'])
    .default('auto')
    .describe('How it is spoken to. `auto`: as its card says, else JSON-RPC.'),
  replicas: z
    .array(replicaSchema)
    .min(1)
    .max(64)
    .exactOptional()
    .describe('Where it runs, if at several places. Absent: at `url`.'),
  api_key: text(values.credentialProblem)
    .exactOptional()
    .describe('Sent as `Authorization: Bearer …`, with probes too. In the file by reference; over the API it is kept sealed.'),
  headers: z
    .record(text(values.headerNameProblem), text(values.headerValueProblem))
    .default({})
    .describe('Headers sent with every call and probe. In the file, values that look like credentials must be references.'),
  forward_headers: z
    .array(text(forwardProblem))
    .max(32)
    .default([])
    .describe('Headers of the caller that go on to the agent, beside those of the protocol. Never the caller’s key.'),
  timeout_ms: int(1, MAX_MS).default(60_000).describe('How long an answer may take; streams have `idle_timeout_ms`.'),
  idle_timeout_ms: int(1, MAX_MS).default(300_000).describe('Streams: the longest silence.'),
  enabled: z
    .boolean()
    .default(true)
    .describe('`false`: it takes no new work; tasks that exist can be read, cancelled and followed.'),
  description: text((value) => (value.length > 4_096 ? 'has at most 4096 characters' : undefined))
    .exactOptional()
    .describe('What it is for. Absent: as its card says.'),
  capabilities: capabilities.exactOptional(),
  rate_limit_rpm: int(0, 1_000_000_000).exactOptional().describe('The same as `limits.rpm`.'),
  limits: limits.exactOptional(),
  budget: budgetSchema.exactOptional(),
  budgets: z
    .array(budgetSchema)
    .min(1)
    .max(8)
    .exactOptional()
    .describe('Several budgets at once, beside or instead of `budget`.'),
  cost_per_request: z
    .number()
    .min(0)
    .max(MAX_USD_PER_REQUEST)
    .exactOptional()
    .describe('USD that a send costs which the agent answered. Absent: nothing.'),
  tags: z.array(text(values.tagProblem)).max(32).default([]).describe('What it is found and granted by (`tag:x`).'),
  provider_config: z
    .record(text(), text())
    .exactOptional()
    .describe('What its provider needs: `langgraph` takes `assistant_id`, the others nothing.'),
  task_scope: z
    .enum(TASK_SCOPES)
    .default('principal')
    .describe('Who sees a task: whoever made it (`principal`), its team, or all callers of the agent.'),
  fail_open: z.boolean().default(false).describe('`true`: sends go there even if it is Unhealthy.'),
  allow_origins: z
    .array(text(values.originProblem))
    .max(16)
    .default([])
    .describe('Origins beside its own that its card may send calls to. Without it a card gives paths, never another place.'),
  card_keys: z
    .array(text(agentUrlProblem))
    .max(8)
    .default([])
    .describe(
      'URLs of JSON Web Key Sets whose keys sign its card; what came of it is shown. Absent: signatures are not checked.',
    ),
  health,
});

export type AgentSettings = z.output<typeof agentSchema>;

const NEVER_FORWARDED =
  /^(authorization|cookie|proxy-.*|x-api-key|x-goog-api-key|api-key|x-signalbox-.*|a2a-.*|traceparent|tracestate|baggage|accept.*)$/i;

function forwardProblem(name: string): string | undefined {
  return values.headerNameProblem(name) ?? (NEVER_FORWARDED.test(name) ? 'this header is never passed on' : undefined);
}

type AgentWritten = Partial<AgentSettings> & Pick<AgentSettings, 'provider'>;

/** What says where an agent is and how it is spoken to. */
const OF_PLACES = [
  'url',
  'card_url',
  'replicas',
  'api_key',
  'headers',
  'forward_headers',
  'provider_config',
  'allow_origins',
  'card_keys',
] as const;

type Problem = [member: string, complaint: string];

function problemsBesideModel(agent: AgentWritten): Problem[] {
  const { provider: maker, health } = agent;
  const strange = OF_PLACES.filter((name) => Object.keys(agent[name] ?? {}).length > 0);
  const spoken = (['protocol', 'binding'] as const).filter((name) => (agent[name] ?? 'auto') !== 'auto');
  const problems: [boolean, Problem][] = [
    [maker !== 'a2a', ['provider', 'an agent that is a `model` is made here']],
    [health?.url !== undefined, ['health', 'its state follows the model: there is no other place to look at']],
    [hasTwice(agent.skills), ['skills', 'two skills have the same id']],
  ];
  return [
    ...strange.map((name): Problem => [name, 'has no meaning beside `model`: that agent lives here']),
    ...spoken.map((name): Problem => [name, 'callers of a `model` may use all']),
    ...told(problems),
  ];
}

function problemsOfPlace(agent: AgentWritten): Problem[] {
  const { url, card_url, replicas = [], provider: maker, provider_config = {} } = agent;
  const alien = (['instructions', 'skills'] as const).filter((name) => agent[name] !== undefined);
  const strange = Object.keys(provider_config).filter((name) => maker !== 'langgraph' || name !== 'assistant_id');
  const isNowhere = url === undefined && card_url === undefined && replicas.length === 0;
  const problems: [boolean, Problem][] = [
    [isNowhere, ['url', 'Agent URL cannot be empty: give `url`, `card_url`, `replicas` or `model`']],
    [hasTwice(replicas), ['replicas', 'two replicas have the same id']],
  ];
  return [
    ...alien.map((name): Problem => [name, 'belongs to an agent with `model`; others have their own']),
    ...told(problems),
    ...strange.map((name): Problem => ['provider_config', `\`${name}\` means nothing to the provider ${maker}`]),
  ];
}

/** What is not of the right shape the schema says. */
function hasTwice(list: unknown): boolean {
  const ids = Array.isArray(list) ? list.map((each: { id?: unknown } | null) => each?.id) : [];
  return new Set(ids).size < ids.length;
}

function told(problems: readonly [boolean, Problem][]): Problem[] {
  return problems.flatMap(([is, problem]) => (is ? [problem] : []));
}

/** What only several members together get wrong: each member, and the complaint. */
export function agentProblems(agent: AgentWritten): Problem[] {
  const { limits: own, rate_limit_rpm: rpm } = agent;
  const isTwofold = rpm !== undefined && own?.rpm !== undefined && own.rpm !== rpm;
  const twofold: Problem = ['rate_limit_rpm', 'is the same as `limits.rpm`, which says something else: leave one out'];
  const problems = agent.model === undefined ? problemsOfPlace(agent) : problemsBesideModel(agent);
  return [...problems, ...told([[isTwofold, twofold]])];
}
