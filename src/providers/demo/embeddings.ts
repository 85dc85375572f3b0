/**
 * Deterministic embeddings: every word adds to some places of the vector that its hash chooses, and the sum is scaled to length one. Texts
 * that share words come out close to each other, which is enough to try a search.
 */
import { type Json, invalid, may, must } from '../../core/read.ts';
import { hash32 } from './hash.ts';
import { countTokens } from './words.ts';

const DEFAULT_DIMENSIONS = 256;
const MAX_DIMENSIONS = 3072;
const PLACES_PER_WORD = 16;
const MAX_INPUTS = 2048;

/** OpenAI's embeddings answer for a request's body. Throws invalid_request naming the field. */
export function demoEmbeddings(body: Json): Json {
  const model = must('string', body.model, 'model');
  const inputs = inputsOf(body.input);
  const dimensions = may('number', body.dimensions, 'dimensions') ?? DEFAULT_DIMENSIONS;
  if (!Number.isInteger(dimensions) || dimensions < 1 || dimensions > MAX_DIMENSIONS) {
    throw invalid('dimensions', `this must be an integer from 1 to ${MAX_DIMENSIONS}`);
  }
  const format = may('string', body.encoding_format, 'encoding_format') ?? 'float';
  if (format !== 'float' && format !== 'base64') throw invalid('encoding_format', 'this must be float or base64');
  const tokens = inputs.reduce((total, { size }) => total + size, 0);
  return {
    object: 'list',
    data: inputs.map(({ words }, index) => {
      const vector = vectorOf(words, dimensions);
      return { object: 'embedding', index, embedding: format === 'base64' ? base64Of(vector) : Array.from(vector) };
    }),
    model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

interface Input {
  words: readonly string[];
  size: number;
}

/** A text, several texts, a list of token numbers, or several of those: OpenAI takes all four. */
function inputsOf(input: unknown): Input[] {
  if (typeof input === 'string') return [inputOf(input, 'input')];
  const list = must('array', input, 'input');
  if (list.length === 0 || list.length > MAX_INPUTS) throw invalid('input', `this must have from 1 to ${MAX_INPUTS} entries`);
  if (list.every((each) => typeof each === 'number')) return [inputOf(list, 'input')];
  return list.map((each, index) => inputOf(each, `input[${index}]`));
}

function inputOf(input: unknown, path: string): Input {
  if (typeof input === 'string')
    return { words: input.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [input], size: countTokens(input) };
  const words = must('array', input, path).map((token, index) => String(must('number', token, `${path}[${index}]`)));
  return { words, size: words.length };
}

function vectorOf(words: readonly string[], dimensions: number): Float32Array {
  const sums = new Float64Array(dimensions);
  for (const word of words) {
    for (let place = 0; place < PLACES_PER_WORD; place += 1) {
      const hash = hash32(word, place + 1);
      const at = (hash >>> 1) % dimensions;
      sums[at] = (sums[at] as number) + ((hash & 1) === 0 ? 1 : -1);
    }
  }
  const length = Math.hypot(...sums);
  // Opposite signs may cancel out in very short vectors, which must still have a direction.
  if (length === 0) sums[0] = 1;
  return Float32Array.from(sums, (value) => value / (length || 1));
}

const base64Of = (vector: Float32Array): string =>
  Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');
