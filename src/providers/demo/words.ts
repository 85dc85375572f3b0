/**
 * The demo's tokens: up to twelve characters without white space, with the white space before them. Plain words are one token each, JSON a
 * few, and whoever counts by hand gets the same.
 */
const TOKEN = /\s*\S{1,12}|\s+/gu;

/** The tokens of a text; together they are the text. */
export function tokensOf(text: string): string[] {
  return text.match(TOKEN) ?? [];
}

export function countTokens(text: string): number {
  return tokensOf(text).length;
}
