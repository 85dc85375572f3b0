/** Whole answers, both ways. */
import type { AssistantPart, ChatChoice, ChatResponse, ReasoningPart, Warning } from '../../core/chat.ts';
import { GatewayError } from '../../core/errors.ts';
import { type Json, badResponse, compact, isObject, listOf, objectOf, textOf } from '../../core/read.ts';
import { count } from '../../core/usage.ts';
import type { ReplyContext } from '../dialect.ts';
import { readAnswerContent } from './content.ts';
import { failureIn } from './error.ts';
import { readReasoning, writeReasoning } from './reasoning.ts';
import { mintedId, readToolCalls } from './tool-calls.ts';
import { usageOf, wordOf, writeUsage } from './usage.ts';
import { annotationFields, argumentsText, finishOf, finishWord, readAnnotations, readLogprobs } from './wire.ts';

type Warn = (warning: Warning) => void;

/**
 * A provider's answer.
 * @throws GatewayError upstream_error where it is an error in a 200 (Azure's filter does that), upstream_bad_response where it has no choices.
 */
export function decodeResponse(body: Json): ChatResponse {
  const failure = failureIn(body);
  if (failure !== undefined) {
    throw new GatewayError('upstream_error', { cause: failure, details: { upstreamStatus: failure.status } });
  }
  const choices = listOf(body.choices);
  if (choices.length === 0) throw badResponse('the answer has no choices');
  const id = textOf(body.id);
  return compact({
    id,
    model: textOf(body.model),
    createdS: count(body.created),
    choices: choices.map((choice, position) => decodeChoice(choice, position, id)),
    usage: usageOf(body),
    serviceTier: wordOf(body.service_tier),
    systemFingerprint: wordOf(body.system_fingerprint),
  });
}

function decodeChoice(choice: Json, position: number, answerId: string): ChatChoice {
  const message = objectOf(choice.message);
  const index = typeof choice.index === 'number' ? choice.index : position;
  const calls = readToolCalls(message, mintedId(answerId, index));
  const refusal = textOf(message.refusal);
  return compact({
    index,
    content: [
      ...readReasoning(message),
      ...readAnswerContent(message.content),
      ...(refusal === '' ? [] : [{ type: 'refusal' as const, text: refusal }]),
      ...calls,
      ...readAnnotations(message),
    ],
    finish: finishOf(choice.finish_reason, calls.length > 0),
    logprobs: readLogprobs(choice.logprobs),
  });
}

/** OpenAI's own tiers; Anthropic's ordinary one is called `standard`. */
const SERVICE_TIERS: ReadonlyMap<string, string> = new Map([
  ...['auto', 'default', 'flex', 'scale', 'priority', 'fast'].map((tier) => [tier, tier] as const),
  ['standard', 'default'],
]);

/** What names an answer, in chunks too. Id, creation time and model are always there, because SDKs demand them. */
export function writeHead(
  answer: { id: string; model: string; createdS: number; serviceTier?: string; systemFingerprint?: string },
  object: string,
  context: ReplyContext,
): Json {
  return compact({
    id: answer.id === '' ? `chatcmpl-${context.requestId}` : answer.id,
    object,
    created: answer.createdS || context.nowS,
    model: answer.model,
    service_tier: SERVICE_TIERS.get(answer.serviceTier ?? ''),
    system_fingerprint: answer.systemFingerprint,
  });
}

/** The answer for a client, with every field that OpenAI's schema requires. */
export function encodeResponse(response: ChatResponse, context: ReplyContext, warn: Warn): Json {
  return {
    ...writeHead(response, 'chat.completion', context),
    choices: response.choices.map((choice) => encodeChoice(choice, warn)),
    ...(response.usage !== undefined && { usage: writeUsage(response.usage) }),
  };
}

function encodeChoice(choice: ChatChoice, warn: Warn): Json {
  const calls = choice.content.flatMap((part) => writeCall(part));
  warnOfPause(choice.finish, warn);
  return {
    index: choice.index,
    message: encodeMessage(choice.content, calls, warn),
    logprobs: choice.logprobs ?? null,
    finish_reason: finishWord(choice.finish, calls.length > 0),
  };
}

/** Anthropic pauses long turns of its server tools, to be continued by sending them back. */
export function warnOfPause(finish: ChatChoice['finish'], warn: Warn): void {
  if (finish === 'pause') warn({ param: 'finish_reason', reason: 'the turn was paused; Chat Completions have no word for that' });
}

function encodeMessage(content: readonly AssistantPart[], calls: readonly Json[], warn: Warn): Json {
  const text = join(content, 'text');
  const refusal = join(content, 'refusal');
  const reasoning = content.filter((part): part is ReasoningPart => part.type === 'reasoning');
  const annotations = content.flatMap((part) => writeAnnotation(part, warn));
  const silent = text === '' && (calls.length > 0 || refusal !== '' || annotations.some((fields) => fields.audio !== undefined));
  return Object.assign(
    {
      role: 'assistant',
      content: silent ? null : text,
      refusal: refusal === '' ? null : refusal,
      ...writeReasoning(reasoning, 'reasoning_content'),
      ...(calls.length > 0 && { tool_calls: calls }),
    },
    ...annotations,
  ) as Json;
}

function join(content: readonly AssistantPart[], type: 'text' | 'refusal'): string {
  return content.map((part) => (part.type === type ? part.text : '')).join('');
}

function writeCall(part: AssistantPart): Json[] {
  if (part.type !== 'tool_call') return [];
  return [{ id: part.id, type: 'function', function: { name: part.name, arguments: argumentsText(part.arguments) } }];
}

/** The members of a message or delta that a native part of ours stands for; what is another's is named in a warning. */
export function writeAnnotation(part: AssistantPart, warn: Warn): Json[] {
  if (part.type !== 'native') return [];
  const fields = annotationFields(part);
  if (fields !== undefined) return [fields];
  const { type, fields: foreign } = part.value;
  const name = isObject(foreign) ? Object.keys(foreign).join(', ') : String(type);
  warn({ param: `content[].${name}`, reason: 'Chat Completions cannot express it' });
  return [];
}
