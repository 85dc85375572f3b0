/** The `content` of answers: nearly always a string, but a list of parts where Mistral or Databricks show reasoning. */
import type { NativePart, ReasoningPart, TextPart } from '../../core/chat.ts';
import { listOf, textOf } from '../../core/read.ts';
import { native, thinkingText } from './wire.ts';

/** The parts in order; empty texts say nothing and are left out. */
export function readAnswerContent(content: unknown): (TextPart | ReasoningPart | NativePart)[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }];
  return listOf(content)
    .map((part) => {
      if (part.type === 'text') return { type: 'text' as const, text: textOf(part.text) };
      return part.type === 'thinking' ? { type: 'reasoning' as const, text: thinkingText(part) } : native(part);
    })
    .filter((part) => part.type === 'native' || part.text !== '');
}
