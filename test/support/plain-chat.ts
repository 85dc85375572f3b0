/**
 * A second reading of Chat Completions, straight from the recorded bodies and chunks: what the dialect must agree with.
 * It knows nothing but the recordings; what they never do (one index for several calls, errors in the middle) has unit tests.
 */
import type { JsonObject } from '../../src/dialects/dialect.ts';
import type { PlainAnswer, PlainChoice } from './plain.ts';

interface Message {
  content?: unknown;
  refusal?: string | null;
  reasoning_content?: string | null;
  reasoning?: string | null;
  reasoning_details?: { text?: string; summary?: string }[];
  tool_calls?: { index?: number; id?: string; function: { name?: string; arguments?: string | null } }[] | null;
}

interface Wire {
  id: string;
  model: string;
  choices?: { index: number; message?: Message; delta?: Message; finish_reason?: string | null }[];
  usage?: Counts | null;
  x_groq?: { usage?: Counts };
}

interface Counts {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number };
  completion_tokens_details?: { reasoning_tokens?: number };
  num_cached_tokens?: number;
}

const FINISH: Record<string, string> = { stop: 'stop', length: 'length', tool_calls: 'tool_calls' };

export function plainChatAnswer(body: JsonObject): PlainAnswer {
  return tell([body as unknown as Wire], 'message');
}

export function plainChatStream(text: string): PlainAnswer {
  const chunks = text
    .split(/\r?\n/)
    .filter((line) => line.startsWith('data: {'))
    .map((line) => JSON.parse(line.slice(6)) as Wire);
  return tell(chunks, 'delta');
}

function tell(bodies: readonly Wire[], member: 'message' | 'delta'): PlainAnswer {
  const choices = new Map<number, PlainChoice>();
  const answer: PlainAnswer = { id: '', model: '', choices: [], usage: undefined };
  for (const { id, model, choices: told, usage, x_groq } of bodies) {
    if (answer.id === '') Object.assign(answer, { id, model });
    for (const wire of told ?? []) {
      const choice = choices.get(wire.index) ?? {
        index: wire.index,
        text: '',
        reasoning: '',
        refusal: '',
        calls: [],
        finish: 'unknown',
      };
      choices.set(wire.index, choice);
      if (wire[member] !== undefined) add(choice, wire[member]);
      if (wire.finish_reason) choice.finish = FINISH[wire.finish_reason] ?? 'unknown';
      // OpenAI says `stop` for a call it was told to make.
      if (choice.calls.length > 0 && choice.finish === 'stop') choice.finish = 'tool_calls';
    }
    const counts = usage ?? x_groq?.usage;
    if (counts) answer.usage = plainUsage(counts);
  }
  answer.choices = [...choices.values()].toSorted((a, b) => a.index - b.index);
  return answer;
}

function add(choice: PlainChoice, message: Message): void {
  for (const { reasoning, text } of pieces(message.content)) {
    choice.text += text;
    choice.reasoning += reasoning;
  }
  choice.refusal += message.refusal ?? '';
  choice.reasoning += message.reasoning_content ?? message.reasoning ?? '';
  for (const { index, id, function: spec } of message.tool_calls ?? []) {
    const known = index === undefined ? undefined : choice.calls.find((call) => call.place === index);
    const call = known ?? { place: index ?? choice.calls.length, id: id ?? '', name: spec.name ?? '', arguments: '' };
    if (known === undefined) choice.calls.push(call);
    call.arguments += spec.arguments ?? '';
  }
}

function pieces(content: unknown): { text: string; reasoning: string }[] {
  if (typeof content === 'string') return [{ text: content, reasoning: '' }];
  return ((content ?? []) as { text?: string; thinking?: { text: string }[] }[]).map((part) => ({
    text: part.text ?? '',
    reasoning: (part.thinking ?? []).map((piece) => piece.text).join(''),
  }));
}

/** xAI's totals hold the reasoning that its completion_tokens leave out; no other recorded total differs from the sum. */
function plainUsage(counts: Counts): PlainAnswer['usage'] {
  return {
    inputTokens: counts.prompt_tokens,
    outputTokens: counts.total_tokens - counts.prompt_tokens,
    cacheReadTokens: counts.prompt_tokens_details?.cached_tokens ?? counts.num_cached_tokens ?? 0,
    reasoningTokens: counts.completion_tokens_details?.reasoning_tokens ?? 0,
  };
}
