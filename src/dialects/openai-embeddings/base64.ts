/**
 * The forms of an embedding. OpenAI's SDKs ask for `encoding_format: base64` whenever their caller names no form, and those below 7 decode
 * the answer without looking: from a provider that sends numbers all the same they would read zeros.
 */
import { type Json, isObject } from '../../core/read.ts';

/** Whether the beginning of an answer shows embeddings as numbers. */
export function beginsWithNumbers(head: Buffer): boolean {
  return /"embedding"\s*:\s*\[/.test(head.toString('latin1'));
}

/** The answer with its numbers as little-endian float32 in base64; undefined where there are none, and nothing need change. */
export function numbersAsBase64(answer: Json): Json | undefined {
  const { data } = answer;
  if (!Array.isArray(data) || !data.some((item) => isObject(item) && isNumbers(item.embedding))) return undefined;
  return { ...answer, data: data.map(encoded) };
}

function encoded(item: unknown): unknown {
  if (!isObject(item) || !isNumbers(item.embedding)) return item;
  const floats = Float32Array.from(item.embedding);
  return { ...item, embedding: Buffer.from(floats.buffer).toString('base64') };
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'number');
}
