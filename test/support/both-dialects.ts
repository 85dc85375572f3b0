/** Answers told in the words that Chat Completions and Messages share: what a translation must keep. */
import { type PlainAnswer, comparable } from './plain.ts';

export interface SharedAnswer {
  text: string;
  reasoning: string;
  calls: { id: string; name: string; arguments: unknown }[];
  finish: string;
  usage: { input: number; output: number; cached: number; reasoning: number } | undefined;
}

/** What both sides can tell: the first choice, arguments as values, the counts both have. `finish` renames reasons. */
export function shared({ choices, usage }: PlainAnswer, finish: Record<string, string> = {}): SharedAnswer {
  const [choice] = comparable({ id: '', model: '', choices: choices.slice(0, 1), usage: undefined }).choices;
  if (choice === undefined) throw new Error('an answer without a choice');
  return {
    text: choice.text + choice.refusal,
    reasoning: choice.reasoning,
    calls: choice.calls.map(({ id, name, arguments: text }) => ({ id, name, arguments: asValue(text) })),
    finish: finish[choice.finish] ?? choice.finish,
    usage: usage && {
      input: usage.inputTokens ?? 0,
      output: usage.outputTokens ?? 0,
      cached: usage.cacheReadTokens ?? 0,
      reasoning: usage.reasoningTokens ?? 0,
    },
  };
}

/** Arguments cut off by the token limit are no JSON: an Anthropic client gets them under a name of ours. */
function asValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { invalid_json: text };
  }
}

/** How an answer of the Messages API reads in Chat Completions, which know no stop sequences among their reasons, and tell a refusal by the filter's word. */
export function asChatTells(answer: PlainAnswer): SharedAnswer {
  return shared(answer, { stop_sequence: 'stop', refusal: 'unknown' });
}

/** How a chat completion reads in the Messages API, whose clients are always told counts, and always a reason: a refusal is one, and silence is the end of the turn. */
export function asMessagesTell(answer: PlainAnswer): SharedAnswer {
  const told = shared(answer, { unknown: 'stop' });
  const refused = told.finish === 'stop' && answer.choices[0]?.refusal !== '';
  const usage = told.usage ?? { input: 0, output: 0, cached: 0, reasoning: 0 };
  return { ...told, usage, finish: refused ? 'refusal' : told.finish };
}
