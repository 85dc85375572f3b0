/** A neutral request as the body for a provider that speaks Chat Completions. */
import type { ChatRequest, ChatTool, Reasoning, ResponseFormat, Warning } from '../../core/chat.ts';
import { type Json, compact, unsupported } from '../../core/read.ts';
import type { EncodeTarget } from '../dialect.ts';
import { encodeMessages } from './messages-encode.ts';
import { applyQuirks } from './quirks.ts';
import { DIALECT, words } from './wire.ts';

type Warn = (warning: Warning) => void;

/** Parameters of `extra` that providers of this dialect know: OpenAI's own, and after them those of others. */
const OWN_PARAMETERS = new Set([
  ...words('audio modalities moderation prediction prompt_cache_key prompt_cache_options prompt_cache_retention'),
  ...words('response_format safety_identifier store tool_choice verbosity web_search_options'),
  ...words('min_p reasoning_format repetition_penalty safe_prompt usage'),
]);

/** @throws GatewayError unsupported_parameter where leaving something out would change the answer's meaning. */
export function encodeRequest(request: ChatRequest, target: EncodeTarget): Json {
  const { warn, quirks } = target;
  if (request.topK !== undefined) warn({ param: 'top_k', reason: 'Chat Completions have no such parameter' });
  const body = compact({
    ...encodeExtra(request.extra, warn),
    model: target.upstreamModel,
    messages: encodeMessages(request.messages, target),
    ...encodeTools(request, target),
    max_completion_tokens: request.maxOutputTokens,
    temperature: request.temperature,
    top_p: request.topP,
    stop: request.stop,
    seed: request.seed,
    presence_penalty: request.presencePenalty,
    frequency_penalty: request.frequencyPenalty,
    logit_bias: request.logitBias,
    n: request.n,
    logprobs: request.logprobs,
    top_logprobs: request.topLogprobs,
    ...(request.responseFormat && { response_format: encodeResponseFormat(request.responseFormat) }),
    ...(request.reasoning && encodeReasoning(request.reasoning, target)),
    user: encodeUser(request.user, warn),
    metadata: request.metadata,
    // Anthropic's word for the ordinary tier.
    service_tier: request.serviceTier === 'standard_only' ? 'default' : request.serviceTier,
    // Usage is always asked for: the ledger needs it even if the client does not.
    ...(request.stream && {
      stream: true,
      ...(quirks.includeUsage !== false && { stream_options: { include_usage: true } }),
    }),
  });
  return applyQuirks(body, target);
}

function encodeExtra(extra: Json, warn: Warn): Json {
  const own = Object.entries(extra).filter(([name]) => {
    if (!OWN_PARAMETERS.has(name)) warn({ param: name, reason: 'Chat Completions have no such parameter' });
    return OWN_PARAMETERS.has(name);
  });
  return Object.fromEntries(own);
}

/** OpenAI refuses user ids above 64 characters; Claude Code's are longer. A shortened id could be another user's. */
function encodeUser(user: string | undefined, warn: Warn): string | undefined {
  if (user === undefined || user.length <= 64) return user;
  warn({ param: 'user', reason: 'longer than the 64 characters OpenAI takes' });
  return undefined;
}

/** Nothing at all where no tool is left: OpenAI refuses a choice among none. */
function encodeTools(request: ChatRequest, target: EncodeTarget): Json {
  const tools = request.tools.filter((tool, index) => {
    const known = tool.type === 'function' || tool.dialect === DIALECT;
    if (!known) target.warn({ param: `tools[${index}]`, reason: `the tool ${tool.name} exists in another API only` });
    return known;
  });
  const choice = encodeToolChoice(request, tools);
  if (tools.length === 0) return {};
  return {
    tools: tools.map((tool) => encodeTool(tool, target)),
    ...(choice !== undefined && { tool_choice: choice }),
    ...(request.parallelToolCalls !== undefined && { parallel_tool_calls: request.parallelToolCalls }),
  };
}

function encodeTool(tool: ChatTool, { quirks }: EncodeTarget): Json {
  if (tool.type === 'native') return tool.value;
  const { name, description, parameters, strict, cacheControl } = tool;
  return {
    type: 'function',
    function: compact({ name, description, parameters, strict }),
    ...(quirks.cacheControl === true && cacheControl !== undefined && { cache_control: cacheControl }),
  };
}

function encodeToolChoice({ toolChoice }: ChatRequest, tools: readonly ChatTool[]): unknown {
  if (toolChoice === undefined) return undefined;
  if (toolChoice.type !== 'tool') {
    if (toolChoice.type === 'required' && tools.length === 0) {
      throw unsupported('tool_choice', 'none of the tools one of which must be called can be sent');
    }
    return toolChoice.type;
  }
  const { name } = toolChoice;
  const tool = tools.find((each) => each.name === name);
  if (tool === undefined) throw unsupported('tool_choice', `the tool ${name} is not among the tools that can be sent`);
  return tool.type === 'function' ? { type: 'function', function: { name } } : { type: 'custom', custom: { name } };
}

function encodeResponseFormat(format: ResponseFormat): Json {
  if (format.type !== 'json_schema') return { type: format.type };
  const { name, schema, strict, description } = format;
  return { type: 'json_schema', json_schema: compact({ name, description, schema, strict }) };
}

/** The least effort that holds a budget of thinking tokens; the same steps as in the other direction. */
const EFFORT_BUDGETS = [
  ['low', 2_048],
  ['medium', 8_192],
  ['high', Number.POSITIVE_INFINITY],
] as const;

function encodeReasoning(reasoning: Reasoning, { quirks, warn }: EncodeTarget): Json {
  const { mode, budgetTokens } = reasoning;
  const effort = reasoning.effort ?? effortOfBudget(budgetTokens);
  if (quirks.thinkingSwitch === true) {
    return {
      thinking: { type: mode === 'disabled' ? 'disabled' : 'enabled' },
      ...(mode !== 'disabled' && effort !== undefined && { reasoning_effort: effort }),
    };
  }
  if (mode === 'disabled' && effort === undefined) {
    warn({ param: 'thinking', reason: 'Chat Completions cannot switch reasoning off without naming an effort' });
    return {};
  }
  if (budgetTokens !== undefined && effort !== undefined) {
    warn({ param: 'thinking.budget_tokens', reason: `sent as reasoning_effort ${effort}` });
  }
  return effort === undefined ? {} : { reasoning_effort: effort };
}

function effortOfBudget(budgetTokens: number | undefined): string | undefined {
  return budgetTokens === undefined ? undefined : EFFORT_BUDGETS.find(([, budget]) => budgetTokens <= budget)?.[0];
}
