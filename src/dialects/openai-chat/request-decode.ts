/** A client's chat completion request, validated in all that is read. */
import type { ChatRequest, ChatTool, Reasoning, ResponseFormat, ToolChoice } from '../../core/chat.ts';
import { type Json, compact, invalid, isObject, may, must, unsupported } from '../../core/read.ts';
import { decodeMessages } from './messages-decode.ts';
import { DIALECT, readCacheControl, words } from './wire.ts';

const NUMBERS = {
  temperature: 'temperature',
  top_p: 'topP',
  top_k: 'topK',
  seed: 'seed',
  presence_penalty: 'presencePenalty',
  frequency_penalty: 'frequencyPenalty',
  n: 'n',
  top_logprobs: 'topLogprobs',
} as const;

/** What is read by name; all else travels in `extra`. */
const READ = new Set([
  ...Object.keys(NUMBERS),
  ...words('model messages tools tool_choice parallel_tool_calls max_completion_tokens max_tokens stop logit_bias logprobs'),
  ...words('response_format reasoning_effort reasoning thinking user metadata service_tier stream stream_options'),
]);

/** @throws GatewayError invalid_request naming the field; unsupported_parameter for the functions of 2023, whose answers have a shape of their own. */
export function decodeRequest(body: Json): ChatRequest {
  for (const legacy of ['functions', 'function_call']) {
    if (body[legacy] !== undefined && body[legacy] !== null) throw unsupported(legacy, 'use tools and tool_choice instead');
  }
  const streamOptions = may('object', body.stream_options, 'stream_options');
  const choice = decodeToolChoice(body.tool_choice);
  const format = decodeResponseFormat(body.response_format);
  return compact({
    ...decodeNumbers(body),
    model: must('string', body.model, 'model'),
    messages: decodeMessages(body.messages),
    tools: (may('array', body.tools, 'tools') ?? []).map((tool, index) => decodeTool(tool, `tools[${index}]`)),
    toolChoice: choice,
    parallelToolCalls: may('boolean', body.parallel_tool_calls, 'parallel_tool_calls'),
    maxOutputTokens:
      may('number', body.max_completion_tokens, 'max_completion_tokens') ?? may('number', body.max_tokens, 'max_tokens'),
    stop: decodeStop(body.stop),
    logitBias: decodeRecord('number', body.logit_bias, 'logit_bias'),
    logprobs: may('boolean', body.logprobs, 'logprobs'),
    responseFormat: format,
    reasoning: decodeReasoning(body),
    user: may('string', body.user, 'user'),
    metadata: decodeRecord('string', body.metadata, 'metadata'),
    serviceTier: may('string', body.service_tier, 'service_tier'),
    stream: may('boolean', body.stream, 'stream') ?? false,
    includeUsage: may('boolean', streamOptions?.include_usage, 'stream_options.include_usage') ?? false,
    extra: extraOf(body, { tool_choice: choice, response_format: format }),
  });
}

function decodeNumbers(body: Json): Partial<Record<(typeof NUMBERS)[keyof typeof NUMBERS], number>> {
  return Object.fromEntries(
    Object.entries(NUMBERS).flatMap(([name, ours]) => {
      const value = may('number', body[name], name);
      return value === undefined ? [] : [[ours, value]];
    }),
  );
}

/** Parameters without a neutral meaning. `understood` names those of which only some values are: allowed_tools, grammars. */
function extraOf(body: Json, understood: Json): Json {
  const rest = Object.entries(body).filter(([name, value]) => {
    if (value === undefined || value === null) return false;
    return Object.hasOwn(understood, name) ? understood[name] === undefined : !READ.has(name);
  });
  // fromEntries defines own properties, so that a caller's `__proto__` stays a mere name.
  return Object.fromEntries([...rest, ...participantNames(body.messages), ...hiddenReasoning(body.reasoning)]);
}

/** Names of speakers have no neutral place. On tool messages the name repeats what the call id says. */
function participantNames(messages: unknown): [string, string][] {
  if (!Array.isArray(messages)) return [];
  return messages.flatMap((message: unknown, index) =>
    isObject(message) && message.role !== 'tool' && typeof message.name === 'string'
      ? [[`messages[${index}].name`, message.name]]
      : [],
  );
}

function hiddenReasoning(reasoning: unknown): [string, unknown][] {
  return isObject(reasoning) && reasoning.exclude === true ? [['reasoning.exclude', true]] : [];
}

function decodeStop(value: unknown): string[] | undefined {
  if (typeof value === 'string') return [value];
  return may('array', value, 'stop')?.map((item, index) => must('string', item, `stop[${index}]`));
}

function decodeRecord<Kind extends 'string' | 'number'>(
  kind: Kind,
  value: unknown,
  path: string,
): Record<string, Kind extends 'string' ? string : number> | undefined {
  const record = may('object', value, path);
  if (record === undefined) return undefined;
  return Object.fromEntries(Object.entries(record).map(([name, item]) => [name, must(kind, item, `${path}.${name}`)])) as never;
}

function decodeTool(item: unknown, path: string): ChatTool {
  const tool = must('object', item, path);
  // Mistral's clients leave the type of functions out.
  const type = may('string', tool.type, `${path}.type`) ?? 'function';
  if (type !== 'function') return { type: 'native', dialect: DIALECT, name: nativeToolName(tool, type), value: tool };
  const spec = must('object', tool.function, `${path}.function`);
  return compact({
    type: 'function' as const,
    name: must('string', spec.name, `${path}.function.name`),
    description: may('string', spec.description, `${path}.function.description`),
    parameters: may('object', spec.parameters, `${path}.function.parameters`),
    strict: may('boolean', spec.strict, `${path}.function.strict`),
    ...readCacheControl(spec, `${path}.function`),
    ...readCacheControl(tool, path),
  });
}

/** Custom tools have their name under `custom`; OpenRouter's server tools have none. */
function nativeToolName(tool: Json, type: string): string {
  const spec = tool[type];
  return isObject(spec) && typeof spec.name === 'string' ? spec.name : type;
}

/** Undefined also for what has no neutral form (`allowed_tools`), which then travels in `extra`. */
function decodeToolChoice(value: unknown): ToolChoice | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return decodeToolWord(value);
  const choice = must('object', value, 'tool_choice');
  const type = must('string', choice.type, 'tool_choice.type');
  if (type !== 'function' && type !== 'custom') return undefined;
  const named = must('object', choice[type], `tool_choice.${type}`);
  return { type: 'tool', name: must('string', named.name, `tool_choice.${type}.name`) };
}

function decodeToolWord(word: string): ToolChoice {
  // `any` is Mistral's word.
  if (word === 'required' || word === 'any') return { type: 'required' };
  if (word === 'auto' || word === 'none') return { type: word };
  throw invalid('tool_choice', 'this must be none, auto, required or an object');
}

function decodeResponseFormat(value: unknown): ResponseFormat | undefined {
  const format = may('object', value, 'response_format');
  if (format === undefined) return undefined;
  const type = must('string', format.type, 'response_format.type');
  if (type === 'text' || type === 'json_object') return { type };
  if (type !== 'json_schema') return undefined;
  const path = 'response_format.json_schema';
  const spec = must('object', format.json_schema, path);
  return compact({
    type,
    name: must('string', spec.name, `${path}.name`),
    schema: may('object', spec.schema, `${path}.schema`) ?? {},
    strict: may('boolean', spec.strict, `${path}.strict`),
    description: may('string', spec.description, `${path}.description`),
  });
}

/** OpenAI's `reasoning_effort`, OpenRouter's `reasoning`, DeepSeek's and LiteLLM's `thinking`; they may stand together. */
function decodeReasoning(body: Json): Reasoning | undefined {
  const plain = may('string', body.reasoning_effort, 'reasoning_effort');
  const router = may('object', body.reasoning, 'reasoning');
  const thinking = may('object', body.thinking, 'thinking');
  if (plain === undefined && router === undefined && thinking === undefined) return undefined;
  const effort = plain ?? may('string', router?.effort, 'reasoning.effort');
  const budget = may('number', router?.max_tokens, 'reasoning.max_tokens');
  return compact({
    mode: reasoningMode(effort, router, thinking),
    effort,
    budgetTokens: budget ?? may('number', thinking?.budget_tokens, 'thinking.budget_tokens'),
  });
}

function reasoningMode(effort: string | undefined, router: Json | undefined, thinking: Json | undefined): Reasoning['mode'] {
  if (effort === 'none' || router?.enabled === false || thinking?.type === 'disabled') return 'disabled';
  return thinking?.type === 'adaptive' ? 'adaptive' : 'enabled';
}
