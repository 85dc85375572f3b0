/**
 * Requests, both ways.
 *
 * What a neutral request may hold and the Messages API cannot say:
 *
 * | parameter                                   | towards Anthropic | why                                                                      |
 * |---------------------------------------------|-------------------|--------------------------------------------------------------------------|
 * | n > 1                                       | refused           | the caller reads several choices; one is another answer                  |
 * | logprobs: true                              | refused           | the caller reads them                                                    |
 * | audio input, answers in audio               | refused           | content or its form would be lost                                        |
 * | files other than PDF and text               | refused           | content would be lost                                                    |
 * | stop sequences of white space only          | refused           | the API refuses them, and without them the answer runs on                |
 * | tool_choice of a tool that cannot be sent   | refused           | the demand cannot be met                                                 |
 * | response_format json_object                 | warned            | no such mode; the prompt must ask for JSON anyway (OpenAI demands it)    |
 * | seed, penalties, logit_bias                 | warned            | they shape probabilities, never what may be answered                     |
 * | temperature above 1                         | clamped, warned   | the scale ends at 1                                                      |
 * | temperature, top_p, top_k                   | warned            | where the model (see models.ts) or thinking does not take them           |
 * | unsigned reasoning                          | warned            | refused by the API; see content-encode.ts                                |
 * | reasoning with a forced tool, or no room    | warned            | see thinking.ts                                                          |
 * | strict tools on models without them         | warned            | the schema still guides the model                                        |
 * | tools of other APIs                         | warned            | the model answers without them                                           |
 * | image detail, schema description, metadata  | warned            | no effect on what is answered                                            |
 * | service_tier flex, priority…                | warned            | speed and price only                                                     |
 * | system prompts in mid-conversation          | warned            | user text where the model knows no system turns; see turns.ts            |
 * | any other parameter of another dialect      | warned            | by its name                                                              |
 */
import type { ChatMessage, ChatRequest, ResponseFormat } from '../../core/chat.ts';
import { compact, invalid, isObject, may, must, unsupported } from '../../core/read.ts';
import type { EncodeTarget, JsonObject } from '../dialect.ts';
import { decodeAssistantContent, decodeSystemContent, decodeUserContent } from './content-decode.ts';
import { modelTraits } from './models.ts';
import { encodeSampling } from './sampling.ts';
import { decodeReasoning, encodeThinking, thinkingExtra } from './thinking.ts';
import { decodeToolChoice, decodeTools, encodeTools } from './tools.ts';
import { encodeConversation } from './turns.ts';
import { entry, mayStrings } from './wire.ts';

/**
 * `max_tokens` where neither the caller nor the catalog names one: every Claude model takes it, and it is more than most answers need.
 * A thinking budget comes on top, so that the answer keeps its room.
 */
export const DEFAULT_MAX_TOKENS = 4096;

/** A client's body. Throws invalid_request naming the field; `max_tokens` is required, as Anthropic requires it. */
export function decodeRequest(body: JsonObject): ChatRequest {
  const thinking = may('object', body.thinking, 'thinking');
  const output = may('object', body.output_config, 'output_config') ?? {};
  const metadata = may('object', body.metadata, 'metadata') ?? {};
  return compact({
    model: must('string', body.model, 'model'),
    messages: [...decodeSystem(body.system), ...decodeMessages(body.messages)],
    tools: decodeTools(body.tools),
    ...decodeToolChoice(body.tool_choice),
    maxOutputTokens: must('number', body.max_tokens, 'max_tokens'),
    temperature: may('number', body.temperature, 'temperature'),
    topP: may('number', body.top_p, 'top_p'),
    topK: may('number', body.top_k, 'top_k'),
    stop: mayStrings(body.stop_sequences, 'stop_sequences'),
    responseFormat: decodeFormat(output.format ?? body.output_format),
    reasoning: decodeReasoning(thinking, may('string', output.effort, 'output_config.effort')),
    user: may('string', metadata.user_id, 'metadata.user_id'),
    serviceTier: may('string', body.service_tier, 'service_tier'),
    stream: may('boolean', body.stream, 'stream') ?? false,
    includeUsage: true,
    extra: {
      ...unread(body, READ),
      ...thinkingExtra(thinking),
      ...unread(output, new Set(['format', 'effort']), 'output_config.'),
      ...unread(metadata, new Set(['user_id']), 'metadata.'),
    },
  });
}

const READ = new Set(
  (
    'model messages system tools tool_choice max_tokens temperature top_p top_k stop_sequences ' +
    'output_config output_format thinking metadata service_tier stream'
  ).split(' '),
);

function unread(fields: JsonObject, read: ReadonlySet<string>, prefix = ''): JsonObject {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([name, value]) => !read.has(name) && value !== null && value !== undefined)
      .map(([name, value]) => [prefix + name, value]),
  );
}

function decodeSystem(value: unknown): ChatMessage[] {
  if (value === undefined || value === null) return [];
  const content = decodeSystemContent(value, 'system');
  return content.length === 0 ? [] : [{ role: 'system', content }];
}

function decodeMessages(value: unknown): ChatMessage[] {
  return must('array', value, 'messages').map((item, index) => {
    const path = `messages[${index}]`;
    const { role, content } = must('object', item, path);
    if (role === 'user') return { role, content: decodeUserContent(content, `${path}.content`) };
    if (role === 'assistant') return { role, content: decodeAssistantContent(content, `${path}.content`) };
    if (role === 'system') return { role, content: decodeSystemContent(content, `${path}.content`) };
    throw invalid(`${path}.role`, "Input should be 'user' or 'assistant'");
  });
}

/** `output_config.format`, or the older top-level `output_format`. The name is ours: OpenAI demands one, Anthropic has none. */
function decodeFormat(value: unknown): ResponseFormat | undefined {
  const format = may('object', value, 'output_config.format');
  if (format === undefined) return undefined;
  if (format.type !== 'json_schema') throw invalid('output_config.format.type', "Input should be 'json_schema'");
  const schema = must('object', format.schema, 'output_config.format.schema');
  return { type: 'json_schema', name: 'response', schema, strict: true };
}

/** The body for a provider. `output_format` becomes `output_config.format`; contents become arrays of blocks. */
export function encodeRequest(request: ChatRequest, target: EncodeTarget): JsonObject {
  refuse(request);
  const { warn } = target;
  const traits = modelTraits(target.upstreamModel);
  const limit = request.maxOutputTokens ?? target.maxOutputTokens;
  const { thinking, effort } = encodeThinking(request, { traits, maxTokens: limit, warn });
  const { system, messages } = encodeConversation(request.messages, traits, warn);
  const body = compact({
    model: target.upstreamModel,
    max_tokens: limit ?? DEFAULT_MAX_TOKENS + budgetOf(thinking),
    system: system.length === 0 ? undefined : system,
    messages,
    ...encodeTools(request, traits, warn),
    ...encodeSampling(request, { traits, thinks: thinking !== undefined && thinking.type !== 'disabled', warn }),
    stop_sequences: request.stop === undefined || request.stop.length === 0 ? undefined : request.stop,
    thinking: withDisplay(thinking, request),
    output_config: encodeOutputConfig(request, effort, target),
    metadata: encodeMetadata(request),
    service_tier: encodeServiceTier(request, target),
    stream: request.stream || undefined,
    ...encodeExtra(request, target),
  });
  warnUnspoken(request, target);
  return applyQuirks(body, target);
}

function refuse(request: ChatRequest): void {
  if (request.n !== undefined && request.n > 1) throw unsupported('n', 'only one choice can be made');
  if (request.logprobs === true) throw unsupported('logprobs', 'log probabilities are not available');
  const { modalities } = request.extra;
  if (Array.isArray(modalities) && modalities.some((modality) => modality !== 'text')) {
    throw unsupported('modalities', 'answers are text only');
  }
  if (request.stop?.some((sequence) => sequence.trim() === '')) {
    throw unsupported('stop', 'stop sequences must hold more than white space');
  }
}

const budgetOf = (thinking: JsonObject | undefined): number =>
  typeof thinking?.budget_tokens === 'number' ? thinking.budget_tokens : 0;

function withDisplay(thinking: JsonObject | undefined, { extra }: ChatRequest): JsonObject | undefined {
  const display = extra['thinking.display'];
  return thinking === undefined || display === undefined ? thinking : { ...thinking, display };
}

function encodeOutputConfig(request: ChatRequest, effort: string | undefined, { warn }: EncodeTarget): JsonObject | undefined {
  const config = compact({
    ...underPrefix(request.extra, 'output_config.'),
    effort,
    format: encodeFormat(request.responseFormat, warn),
  });
  return Object.keys(config).length === 0 ? undefined : config;
}

function encodeFormat(format: ResponseFormat | undefined, warn: EncodeTarget['warn']): JsonObject | undefined {
  if (format === undefined || format.type === 'text') return undefined;
  if (format.type === 'json_object') {
    warn({ param: 'response_format', reason: 'there is no JSON mode without a schema' });
    return undefined;
  }
  if (format.description !== undefined) {
    warn({ param: 'response_format.json_schema.description', reason: 'a schema has no description of its own' });
  }
  return { type: 'json_schema', schema: format.schema };
}

function encodeMetadata({ extra, user }: ChatRequest): JsonObject | undefined {
  const metadata = compact({ ...underPrefix(extra, 'metadata.'), user_id: user });
  return Object.keys(metadata).length === 0 ? undefined : metadata;
}

const SERVICE_TIERS: Readonly<Record<string, string>> = {
  auto: 'auto',
  standard_only: 'standard_only',
  default: 'standard_only',
};

function encodeServiceTier({ serviceTier }: ChatRequest, { warn }: EncodeTarget): string | undefined {
  if (serviceTier === undefined) return undefined;
  const tier = entry(SERVICE_TIERS, serviceTier);
  if (tier === undefined) warn({ param: 'service_tier', reason: `there is no tier ${JSON.stringify(serviceTier)}` });
  return tier;
}

/** Top-level parameters that only Anthropic has and that an Anthropic client may have sent. */
const OWN_EXTRA = new Set(
  'cache_control container context_management diagnostics fallbacks inference_geo mcp_servers speed'.split(' '),
);
const OWN_EXTRA_PREFIX = /^(?:thinking|output_config|metadata)\./;

function encodeExtra({ extra }: ChatRequest, { warn }: EncodeTarget): JsonObject {
  const own: JsonObject = {};
  for (const [name, value] of Object.entries(extra)) {
    if (value === null || value === undefined || name === 'modalities' || OWN_EXTRA_PREFIX.test(name)) continue;
    if (OWN_EXTRA.has(name)) own[name] = value;
    else warn({ param: name, reason: 'the Messages API has no such parameter' });
  }
  return own;
}

function underPrefix(extra: JsonObject, prefix: string): JsonObject {
  const own = Object.entries(extra).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, value]) => [name.slice(prefix.length), value]));
}

/** Parameters whose loss does not change the meaning, unless they were set to what happens anyway. */
function warnUnspoken(request: ChatRequest, { warn }: EncodeTarget): void {
  const lost: [string, unknown][] = [
    ['seed', request.seed],
    ['presence_penalty', request.presencePenalty || undefined],
    ['frequency_penalty', request.frequencyPenalty || undefined],
    ['logit_bias', Object.keys(request.logitBias ?? {}).length === 0 ? undefined : request.logitBias],
    ['metadata', request.metadata],
  ];
  for (const [param, value] of lost) {
    if (value !== undefined) warn({ param, reason: 'the Messages API has no equivalent' });
  }
}

function applyQuirks(body: JsonObject, { quirks, warn }: EncodeTarget): JsonObject {
  for (const name of quirks.unsupported ?? []) {
    if (!Object.hasOwn(body, name)) continue;
    delete body[name];
    warn({ param: name, reason: 'this provider does not take it' });
  }
  const rename = quirks.rename ?? {};
  return isObject(quirks.rename)
    ? Object.fromEntries(Object.entries(body).map(([name, value]) => [rename[name] ?? name, value]))
    : body;
}
