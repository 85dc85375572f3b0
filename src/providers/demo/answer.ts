/**
 * What the demo says: a function of the request alone, so that two runs, two machines and both dialects say the same.
 */
import type { AssistantPart, ChatChoice, ChatRequest, ChatResponse, ToolCallPart, UserPart } from '../../core/chat.ts';
import { invalid } from '../../core/read.ts';
import { NO_USAGE } from '../../core/usage.ts';
import { digest, hash32 } from './hash.ts';
import { sampleOf } from './schema-sample.ts';
import { chosenTools } from './tool-choice.ts';
import { countTokens, tokensOf } from './words.ts';

const NAME = "Signalbox's built-in demo";
const MAX_CHOICES = 128;
const QUOTE_LENGTH = 200;

const GREETINGS = [
  `Hello from ${NAME}, which needs no account.`,
  `This is ${NAME}: no account, no key, no network.`,
  `${NAME} here, answering without any account.`,
];
const COMPLIMENTS = ['That reads well.', 'A fine thing to say.', 'Thank you for asking.', 'Nicely put.'];

/** Everything of an answer but its time. Throws invalid_request for limits no model could keep. */
export function demoAnswer(request: ChatRequest, id: string): Omit<ChatResponse, 'createdS'> {
  const limit = request.maxOutputTokens ?? Number.POSITIVE_INFINITY;
  const n = request.n ?? 1;
  if (limit < 1) throw invalid('max_tokens', 'this must be at least 1');
  if (!Number.isInteger(n) || n < 1 || n > MAX_CHOICES) throw invalid('n', `this must be an integer from 1 to ${MAX_CHOICES}`);
  const choices = Array.from({ length: n }, (_, index) => demoChoice(request, { id, index, limit }));
  const reasoning = choices.flatMap(({ content }) => content.filter((part) => part.type === 'reasoning'));
  return {
    id,
    model: request.model,
    choices,
    systemFingerprint: 'signalbox-demo',
    usage: {
      ...NO_USAGE,
      inputTokens: promptTokens(request),
      outputTokens: sum(choices.flatMap(({ content }) => content.map(partTokens))),
      reasoningTokens: sum(reasoning.map(partTokens)),
    },
  };
}

interface ChoicePlace {
  id: string;
  index: number;
  limit: number;
}

function demoChoice(request: ChatRequest, { id, index, limit }: ChoicePlace): ChatChoice {
  const calls = chosenTools(request).map((tool, position): ToolCallPart => {
    const args = JSON.stringify(sampleOf(tool.parameters, 'input'));
    return { type: 'tool_call', id: `call_${digest(`${id}/${index}/${position}`, 24)}`, name: tool.name, arguments: args };
  });
  const { text, stopSequence } = stopped(calls.length > 0 ? announcement(calls) : sentence(request, index), request.stop);
  const content: AssistantPart[] = [...thoughts(request), ...(text === '' ? [] : [{ type: 'text' as const, text }])];
  const whole = stopSequence === undefined ? [...content, ...calls] : content;
  const kept = cut(whole, limit);
  if (kept !== undefined) return { index, content: kept, finish: 'length' };
  if (stopSequence !== undefined) return { index, content: whole, finish: 'stop_sequence', stopSequence };
  return { index, content: whole, finish: calls.length > 0 ? 'tool_calls' : 'stop' };
}

const announcement = (calls: readonly ToolCallPart[]): string => `${NAME} calls ${calls.map(({ name }) => name).join(' and ')}.`;

/** What a model would say: JSON where a format is asked for, else some friendly sentences. */
function sentence(request: ChatRequest, index: number): string {
  const format = request.responseFormat;
  if (format?.type === 'json_schema') return JSON.stringify(sampleOf(format.schema, 'demo'));
  const parts = lastUserParts(request);
  const said = textOf(parts);
  if (format?.type === 'json_object') return JSON.stringify({ from: NAME, you_said: shortened(said) });
  const start = hash32(said, index);
  const results = parts.flatMap((part) => (part.type === 'tool_result' ? [shortened(textOf(part.content))] : []));
  return [
    GREETINGS[start % GREETINGS.length],
    results.length > 0 ? `The tool answered: “${results.join('” and “')}”.` : '',
    said === '' ? '' : `You said: “${shortened(said)}”. ${COMPLIMENTS[(start >>> 8) % COMPLIMENTS.length]}`,
    attachments(parts),
    'Name a provider in the configuration, and a real model answers here.',
  ]
    .filter((each) => each !== '')
    .join(' ');
}

function attachments(parts: readonly UserPart[]): string {
  const kinds = parts.flatMap(({ type }) => (type === 'image' || type === 'file' || type === 'audio' ? [type] : []));
  return kinds.length === 0 ? '' : `What came along (${kinds.join(', ')}) cannot be seen from a demo.`;
}

/** A reasoning block where the caller asked for reasoning, signed so that clients can send it back. */
function thoughts(request: ChatRequest): AssistantPart[] {
  if (request.reasoning === undefined || request.reasoning.mode === 'disabled') return [];
  const words = textOf(lastUserParts(request)).split(/\s+/).filter(Boolean).length;
  const text = `The last message has ${words} words. A demo need not think longer about them.`;
  return [{ type: 'reasoning', text, signature: Buffer.from(`demo:${digest(text, 32)}`).toString('base64') }];
}

/** The text up to the earliest stop sequence in it. */
function stopped(text: string, stop: readonly string[] = []): { text: string; stopSequence?: string } {
  const found = stop
    .map((stopSequence) => ({ stopSequence, at: stopSequence === '' ? -1 : text.indexOf(stopSequence) }))
    .filter(({ at }) => at >= 0)
    .toSorted((one, other) => one.at - other.at)[0];
  return found === undefined ? { text } : { text: text.slice(0, found.at), stopSequence: found.stopSequence };
}

/** The parts that fit into `limit` tokens, texts cut to size and tool calls whole or not at all; undefined where all of them fit. */
function cut(content: readonly AssistantPart[], limit: number): AssistantPart[] | undefined {
  let left = limit;
  const kept: AssistantPart[] = [];
  for (const part of content) {
    const size = partTokens(part);
    if (size > left) return 'text' in part ? [...kept, { ...part, text: tokensOf(part.text).slice(0, left).join('') }] : kept;
    left -= size;
    kept.push(part);
  }
  return undefined;
}

function partTokens(part: AssistantPart): number {
  if ('text' in part) return countTokens(part.text);
  return part.type === 'tool_call' ? countTokens(part.name) + countTokens(part.arguments) : 0;
}

/** All texts, tool calls, results and schemas of the request; images, files and audio count as one token each. */
function promptTokens(request: ChatRequest): number {
  const said = request.messages.flatMap(({ content }) =>
    (content as readonly (AssistantPart | UserPart)[]).map(promptPartTokens),
  );
  const tools = request.tools.map((tool) => countTokens(JSON.stringify(tool)));
  return sum([...said, ...tools]);
}

function promptPartTokens(part: AssistantPart | UserPart): number {
  if (part.type === 'tool_result') return sum(part.content.map((inner) => ('text' in inner ? countTokens(inner.text) : 1)));
  if (part.type === 'image' || part.type === 'file' || part.type === 'audio') return 1;
  return part.type === 'native' ? 0 : partTokens(part);
}

/** The parts of the user's last turn. Tool results may come as several messages, which are one turn. */
function lastUserParts({ messages }: ChatRequest): UserPart[] {
  const end = messages.findLastIndex(({ role }) => role === 'user');
  const before = messages.slice(0, end + 1).findLastIndex(({ role }) => role !== 'user');
  return messages.slice(before + 1, end + 1).flatMap((message) => (message.role === 'user' ? message.content : []));
}

function textOf(parts: readonly UserPart[]): string {
  return parts
    .flatMap((part) => (part.type === 'text' ? [part.text.trim()] : []))
    .filter((text) => text !== '')
    .join('\n');
}

function shortened(text: string): string {
  const characters = Array.from(text.slice(0, QUOTE_LENGTH * 2));
  return characters.length > QUOTE_LENGTH || text.length > QUOTE_LENGTH * 2
    ? `${characters.slice(0, QUOTE_LENGTH).join('')}…`
    : text;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
