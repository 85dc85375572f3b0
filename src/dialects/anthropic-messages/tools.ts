/** Tools and the choice among them. */
import type { ChatRequest, ChatTool, ToolChoice, Warning } from '../../core/chat.ts';
import { compact, invalid, isObject, may, must, unsupported } from '../../core/read.ts';
import type { JsonObject } from '../dialect.ts';
import { annotation } from './content-decode.ts';
import type { ModelTraits } from './models.ts';
import { ANNOTATION, DIALECT, cacheControlField, decodeCacheControl, entry } from './wire.ts';

/**
 * A client's tools. Server tools (web search, computer use…) are native. Options of a plain tool that only Anthropic has follow it as an
 * annotation; `eager_input_streaming` is forgotten, because it only shapes how arguments arrive.
 */
export function decodeTools(value: unknown): ChatTool[] {
  return (may('array', value, 'tools') ?? []).flatMap((item, index) =>
    decodeTool(must('object', item, `tools[${index}]`), `tools[${index}]`),
  );
}

function decodeTool(tool: JsonObject, path: string): ChatTool[] {
  const type = may('string', tool.type, `${path}.type`);
  if (type !== undefined && type !== 'custom') {
    return [{ type: 'native', dialect: DIALECT, name: may('string', tool.name, `${path}.name`) ?? type, value: tool }];
  }
  const name = must('string', tool.name, `${path}.name`);
  const options = annotation({
    allowed_callers: tool.allowed_callers,
    defer_loading: tool.defer_loading,
    input_examples: tool.input_examples,
  });
  return [
    compact({
      type: 'function' as const,
      name,
      description: may('string', tool.description, `${path}.description`),
      parameters: must('object', tool.input_schema, `${path}.input_schema`),
      strict: may('boolean', tool.strict, `${path}.strict`),
      cacheControl: decodeCacheControl(tool.cache_control, `${path}.cache_control`),
    }),
    ...options.map(({ dialect, value }) => ({ type: 'native' as const, dialect, name, value })),
  ];
}

const CHOICES: Readonly<Record<string, ToolChoice>> = {
  auto: { type: 'auto' },
  any: { type: 'required' },
  none: { type: 'none' },
};

export function decodeToolChoice(value: unknown): Pick<ChatRequest, 'toolChoice' | 'parallelToolCalls'> {
  const choice = may('object', value, 'tool_choice');
  if (choice === undefined) return {};
  const type = must('string', choice.type, 'tool_choice.type');
  const disabled = may('boolean', choice.disable_parallel_tool_use, 'tool_choice.disable_parallel_tool_use');
  const toolChoice: ToolChoice | undefined =
    type === 'tool' ? { type, name: must('string', choice.name, 'tool_choice.name') } : entry(CHOICES, type);
  if (toolChoice === undefined) throw invalid('tool_choice.type', "Input should be 'auto', 'any', 'tool' or 'none'");
  return { toolChoice, ...(disabled !== undefined && { parallelToolCalls: !disabled }) };
}

interface ToolFields {
  tools?: JsonObject[];
  tool_choice?: JsonObject;
}

/** `tools` and `tool_choice`; both absent where there is nothing to call. */
export function encodeTools(request: ChatRequest, traits: ModelTraits, warn: (warning: Warning) => void): ToolFields {
  const tools = encodeToolList(request, traits, warn);
  if (tools.length > 0) {
    const choice = encodeToolChoice(request, tools);
    return { tools, ...(choice !== undefined && { tool_choice: choice }) };
  }
  const called = calledTools(request);
  // Anthropic refuses a history with tool blocks unless the tools are declared; declared with choice none they change nothing.
  return called.length === 0 ? {} : { tools: called, tool_choice: { type: 'none' } };
}

function encodeToolList(request: ChatRequest, traits: ModelTraits, warn: (warning: Warning) => void): JsonObject[] {
  const tools: JsonObject[] = [];
  request.tools.forEach((tool, index) => {
    const path = `tools[${index}]`;
    if (tool.type === 'function') tools.push(encodeFunction(tool, traits, { path, warn }));
    else if (tool.dialect !== DIALECT) warn({ param: path, reason: `the tool ${tool.name} exists in another API only` });
    else if (tool.value.type !== ANNOTATION) tools.push(tool.value);
    else Object.assign(tools.at(-1) ?? {}, isObject(tool.value.fields) ? tool.value.fields : {});
  });
  return tools;
}

function encodeFunction(
  tool: Extract<ChatTool, { type: 'function' }>,
  traits: ModelTraits,
  { path, warn }: { path: string; warn: (warning: Warning) => void },
): JsonObject {
  if (tool.strict === true && !traits.strictTools) {
    warn({ param: `${path}.strict`, reason: 'this model does not check tool arguments against their schema' });
  }
  return compact({
    name: tool.name,
    description: tool.description,
    // OpenAI lets a function without arguments have no schema; Anthropic demands one, and of type object.
    input_schema: { type: 'object', ...(tool.parameters ?? { properties: {} }) },
    strict: traits.strictTools && tool.strict === true ? true : undefined,
    ...cacheControlField(tool),
  });
}

function encodeToolChoice({ toolChoice, parallelToolCalls }: ChatRequest, tools: readonly JsonObject[]): JsonObject | undefined {
  if (toolChoice === undefined)
    return parallelToolCalls === false ? { type: 'auto', disable_parallel_tool_use: true } : undefined;
  if (toolChoice.type === 'none') return { type: 'none' };
  const parallel = parallelToolCalls === undefined ? {} : { disable_parallel_tool_use: !parallelToolCalls };
  if (toolChoice.type !== 'tool') return { type: toolChoice.type === 'required' ? 'any' : 'auto', ...parallel };
  if (!tools.some((tool) => tool.name === toolChoice.name)) {
    throw unsupported('tool_choice', `the tool ${toolChoice.name} is not among the tools that can be sent`);
  }
  return { type: 'tool', name: toolChoice.name, ...parallel };
}

function calledTools(request: ChatRequest): JsonObject[] {
  const names = new Set<string>();
  for (const message of request.messages) {
    if (message.role !== 'assistant') continue;
    for (const part of message.content) if (part.type === 'tool_call') names.add(part.name);
  }
  return [...names].map((name) => ({ name, input_schema: { type: 'object' } }));
}
