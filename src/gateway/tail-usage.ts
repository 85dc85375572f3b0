import type { JsonObject } from '../dialects/dialect.ts';

const TAIL_BYTES = 16 * 1024;

/**
 * Finds the `usage` object in the last 16 KiB of a JSON answer that was too large to hold: embeddings of a batch put megabytes of
 * vectors before it. What cannot be found is not guessed: the answer is then `{}`.
 */
export function usageInTail(): { see: (chunk: Buffer) => void; answer: () => JsonObject } {
  let tail = Buffer.alloc(0);
  return {
    see(chunk) {
      const joined = chunk.length >= TAIL_BYTES ? chunk : Buffer.concat([tail, chunk]);
      tail = Buffer.from(joined.subarray(Math.max(0, joined.length - TAIL_BYTES)));
    },
    answer() {
      const text = tail.toString('utf8');
      const at = text.lastIndexOf('"usage"');
      const open = at < 0 ? -1 : text.indexOf('{', at);
      const close = open < 0 ? -1 : closingBrace(text, open);
      return close < 0 ? {} : readUsage(text.slice(open, close + 1));
    },
  };
}

/** Usage objects hold numbers and short words, no braces inside strings. */
function closingBrace(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === '{') depth++;
    if (text[at] === '}' && --depth === 0) return at;
  }
  return -1;
}

function readUsage(text: string): JsonObject {
  try {
    return { usage: JSON.parse(text) as unknown };
  } catch {
    return {};
  }
}
