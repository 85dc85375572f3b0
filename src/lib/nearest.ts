/** Longer words are not typing mistakes, and the work is quadratic in their length. */
const MAX_WORD_LENGTH = 128;
/** Where a word is merely begun (`claude` for `claude-sonnet-4-5`), this much of it must be there. */
const MIN_PREFIX_LENGTH = 4;

/**
 * Up to `max` candidates that the writer of `word` may have meant, nearest first: few typing mistakes away (case aside), or one of the two
 * the beginning of the other. A candidate that ends in `*` is compared with the beginning of the word.
 */
export function nearest(word: string, candidates: Iterable<string>, max = 3): string[] {
  if (word === '' || word.length > MAX_WORD_LENGTH) return [];
  const asked = word.toLowerCase();
  const ranked: { candidate: string; score: number }[] = [];
  for (const candidate of new Set(candidates)) {
    const score = distance(asked, candidate.toLowerCase());
    if (score !== undefined) ranked.push({ candidate, score });
  }
  ranked.sort((a, b) => a.score - b.score || (a.candidate < b.candidate ? -1 : 1));
  return ranked.slice(0, max).map(({ candidate }) => candidate);
}

/** Undefined: too far to be meant. */
function distance(asked: string, candidate: string): number | undefined {
  const wildcard = candidate.endsWith('*');
  const name = wildcard ? candidate.slice(0, -1) : candidate;
  const word = wildcard ? asked.slice(0, name.length) : asked;
  if (name === '') return undefined;
  const limit = Math.max(1, Math.floor(Math.min(word.length, name.length) / 3));
  const edits = Math.abs(word.length - name.length) > limit ? limit + 1 : editDistance(word, name);
  if (edits <= limit) return edits;
  const [shorter, longer] = word.length < name.length ? [word, name] : [name, word];
  return shorter.length >= MIN_PREFIX_LENGTH && longer.startsWith(shorter) ? limit + 1 : undefined;
}

/** Optimal string alignment: insertions, deletions, substitutions, and swaps of neighbours each count one. */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1;
      let best = Math.min(previous[column]! + 1, current[column - 1]! + 1, previous[column - 1]! + cost);
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) best = Math.min(best, before[column - 2]! + 1);
      current.push(best);
    }
    before = previous;
    previous = current;
  }
  return previous[b.length]!;
}
