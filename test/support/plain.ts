/** An answer without its wire: what two dialects can both say, for comparing translations with recordings. */
import type { ChatChoice, ChatResponse } from '../../src/core/chat.ts';
import type { Usage } from '../../src/core/usage.ts';

export interface PlainChoice {
  index: number;
  text: string;
  reasoning: string;
  refusal: string;
  calls: { place: number; id: string; name: string; arguments: string }[];
  finish: string;
}

export interface PlainAnswer {
  id: string;
  model: string;
  choices: PlainChoice[];
  /** As far as the recording tells it. */
  usage: Partial<Usage> | undefined;
}

/** A neutral answer told plainly. Arguments that are no text at all mean no arguments, `{}`. */
export function plain(response: Pick<ChatResponse, 'id' | 'model' | 'choices'> & { usage?: Usage | undefined }): PlainAnswer {
  const { id, model, choices, usage } = response;
  return { id, model, choices: choices.map(plainChoice), usage };
}

function plainChoice({ index, content, finish }: ChatChoice): PlainChoice {
  const textOf = (type: 'text' | 'reasoning' | 'refusal') =>
    content.map((part) => (part.type === type ? part.text : '')).join('');
  return {
    index,
    text: textOf('text'),
    reasoning: textOf('reasoning'),
    refusal: textOf('refusal'),
    calls: content
      .filter((part) => part.type === 'tool_call')
      .map(({ id, name, arguments: text }, place) => ({ place, id, name, arguments: text })),
    finish,
  };
}

/** Calls by their place in the answer, whatever numbers the wire gave them; no arguments as `{}`. */
export function comparable(answer: PlainAnswer): PlainAnswer {
  return {
    ...answer,
    choices: answer.choices.map((choice) => ({
      ...choice,
      calls: choice.calls.map((call, place) => ({ ...call, place, arguments: call.arguments.trim() || '{}' })),
    })),
  };
}
