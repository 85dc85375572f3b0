/** A whole answer as the parts of a stream, a token at a time. */
import type { AssistantPart, ChatResponse } from '../../core/chat.ts';
import type { StreamPart } from '../../core/parts.ts';
import { tokensOf } from './words.ts';

/** The parts in order: choice after choice, block after block, usage at the end. */
export function* partsOf(answer: ChatResponse): Generator<StreamPart> {
  const { id, model, createdS, systemFingerprint, usage } = answer;
  yield { type: 'start', id, model, createdS, ...(systemFingerprint !== undefined && { systemFingerprint }) };
  // Anthropic counts the prompt in the first event.
  if (usage !== undefined) yield { type: 'usage', usage: { ...usage, outputTokens: 0, reasoningTokens: 0 } };
  let block = 0;
  for (const { index, content, finish, stopSequence } of answer.choices) {
    for (const part of content) {
      yield* blockOf(part, block, index);
      block += 1;
    }
    yield { type: 'finish', choice: index, reason: finish, ...(stopSequence !== undefined && { stopSequence }) };
  }
  if (usage !== undefined) yield { type: 'usage', usage };
  yield { type: 'end' };
}

/** True for the parts a reader sees coming: the demo waits before each. */
export function isDelta({ type }: StreamPart): boolean {
  return type === 'text_delta' || type === 'reasoning_delta' || type === 'tool_call_delta';
}

function* blockOf(part: AssistantPart, block: number, choice: number): Generator<StreamPart> {
  if (part.type === 'text') {
    yield { type: 'text_start', block, choice };
    for (const text of tokensOf(part.text)) yield { type: 'text_delta', block, text };
    yield { type: 'text_end', block };
  } else if (part.type === 'reasoning') {
    yield { type: 'reasoning_start', block, choice };
    for (const text of tokensOf(part.text)) yield { type: 'reasoning_delta', block, text };
    if (part.signature !== undefined) yield { type: 'reasoning_signature', block, signature: part.signature };
    yield { type: 'reasoning_end', block };
  } else if (part.type === 'tool_call') {
    yield { type: 'tool_call_start', block, choice, id: part.id, name: part.name };
    for (const piece of tokensOf(part.arguments)) yield { type: 'tool_call_delta', block, arguments: piece };
    yield { type: 'tool_call_end', block };
  }
}
