/**
 * Reasoning on messages, in the two ways that spread beside OpenAI: its text under `reasoning_content` (DeepSeek, Moonshot, Z.ai, vLLM…)
 * or `reasoning` (OpenRouter, Groq, Ollama), and OpenRouter's `reasoning_details`, the only form that can carry a signature:
 * `{type: reasoning.text, text, signature}`, `{type: reasoning.summary, summary}`, `{type: reasoning.encrypted, data}`.
 */
import type { ReasoningPart } from '../../core/chat.ts';
import { type Json, listOf, textOf } from '../../core/read.ts';

const ENCRYPTED = 'reasoning.encrypted';

/** The reasoning of a whole message. Details come first: they alone are byte-exact; the plain text is their copy. */
export function readReasoning(message: Json): ReasoningPart[] {
  const details = listOf(message.reasoning_details).map(readDetail).filter(saysSomething);
  const plain = reasoningText(message);
  return plain === '' || details.some((part) => part.text !== '') ? details : [{ type: 'reasoning', text: plain }, ...details];
}

/** The plain text of a message or a delta; some providers send it under both names at once. */
export function reasoningText(message: Json): string {
  return textOf(message.reasoning_content) || textOf(message.reasoning);
}

export function readDetail(detail: Json): ReasoningPart {
  if (detail.type === ENCRYPTED) return { type: 'reasoning', text: '', redacted: textOf(detail.data) };
  const text = textOf(detail.text) || textOf(detail.summary);
  const signature = textOf(detail.signature);
  return { type: 'reasoning', text, ...(signature !== '' && { signature }) };
}

/** OpenRouter's clients send back details without text. */
function saysSomething(part: ReasoningPart): boolean {
  return part.text !== '' || part.signature !== undefined || (part.redacted ?? '') !== '';
}

/** One entry of `reasoning_details`; `index` numbers the entries of a message. */
export function writeDetail(part: ReasoningPart, index: number): Json {
  if (part.redacted !== undefined) return { type: ENCRYPTED, data: part.redacted, index };
  return { type: 'reasoning.text', text: part.text, ...(part.signature !== undefined && { signature: part.signature }), index };
}

/**
 * The members that carry a message's reasoning: the text under `field`, and details only where something is signed or encrypted,
 * because they repeat the text.
 */
export function writeReasoning(parts: readonly ReasoningPart[], field: 'reasoning_content' | 'reasoning'): Json {
  const text = parts.map((part) => part.text).join('');
  const opaque = parts.some((part) => part.signature !== undefined || part.redacted !== undefined);
  return {
    ...(text !== '' && { [field]: text }),
    ...(opaque && { reasoning_details: parts.map(writeDetail) }),
  };
}
