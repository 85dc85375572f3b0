/** Which agents a list shows, and in which order: by name, or by how well they fit a text. */
import type { AgentState } from '../core/agent.ts';
import { type AgentEntry, effectiveStateOf, stateOf } from './entry.ts';

export interface AgentFilter {
  state?: AgentState;
  effectiveState?: AgentState;
  available?: boolean;
  enabled?: boolean;
  /** All of them. */
  tags?: readonly string[];
  /** Its id or its name. */
  skill?: string;
  provider?: string;
  text?: string;
}

export function selectAgents(entries: readonly AgentEntry[], filter: AgentFilter): AgentEntry[] {
  const found = entries.filter((entry) => fits(entry, filter));
  return filter.text === undefined ? found : ranked(found, filter.text);
}

function fits(
  entry: AgentEntry,
  { state, effectiveState, available, enabled, tags = [], skill, provider }: AgentFilter,
): boolean {
  const { config, card } = entry;
  const effective = effectiveStateOf(entry);
  const checks = [
    state === undefined || stateOf(entry).state === state,
    effectiveState === undefined || effective === effectiveState,
    available === undefined || (effective === 'healthy' || effective === 'degraded') === available,
    enabled === undefined || config.enabled === enabled,
    tags.every((tag) => config.tags.includes(tag)),
    skill === undefined || card?.facts.skills.some(({ id, name }) => id === skill || name === skill) === true,
    provider === undefined || config.provider === provider,
  ];
  return checks.every(Boolean);
}

/** What is found in a name says more than what is found in an example. */
const WEIGHTS = { name: 3, tags: 2, skills: 2, words: 1 } as const;
/** BM25 as usual: how soon a repeated word stops counting, and how much long texts lose (Robertson and Zaragoza 2009). */
const K1 = 1.2;
const B = 0.75;
/** Whoever looks for more looks for nothing in particular, and all agents would be read for each. */
const MOST_WANTED = 16;

/** Those that have any of the words, the best first; equal ones by name. */
function ranked(entries: readonly AgentEntry[], text: string): AgentEntry[] {
  const wanted = [...new Set(wordsOf(text))].slice(0, MOST_WANTED);
  const documents = entries.map((entry) => ({ entry, counts: countsOf(entry) }));
  const lengths = documents.map(({ counts }) => [...counts.values()].reduce((sum, count) => sum + count, 0));
  const mean = lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, lengths.length);
  const rarity = new Map(
    wanted.map((word) => [word, rarityOf(documents.filter(({ counts }) => matches(counts, word) > 0).length, documents.length)]),
  );
  const scored = documents.map(({ entry, counts }, index) => {
    const slowness = K1 * (1 - B + (B * lengths[index]!) / Math.max(1, mean));
    const score = wanted.reduce((sum, word) => {
      const count = matches(counts, word);
      return sum + (rarity.get(word)! * count * (K1 + 1)) / (count + slowness);
    }, 0);
    return { entry, score };
  });
  return scored
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score || (a.entry.config.name < b.entry.config.name ? -1 : 1))
    .map(({ entry }) => entry);
}

function rarityOf(having: number, all: number): number {
  return Math.log(1 + (all - having + 0.5) / (having + 0.5));
}

/** The beginning of a word counts half. */
function matches(counts: ReadonlyMap<string, number>, wanted: string): number {
  const exact = counts.get(wanted) ?? 0;
  if (exact > 0 || wanted.length < 3) return exact;
  let begun = 0;
  for (const [word, count] of counts) if (word.startsWith(wanted)) begun += count / 2;
  return begun;
}

/** Cards are long, and anybody with a key may look through them again and again. */
const known = new WeakMap<AgentEntry, { hash: string | undefined; counts: Map<string, number> }>();

function countsOf(entry: AgentEntry): Map<string, number> {
  const found = known.get(entry);
  const hash = entry.card?.facts.hash;
  if (found !== undefined && found.hash === hash) return found.counts;
  const counts = counted(entry);
  known.set(entry, { hash, counts });
  return counts;
}

function counted({ config, card }: AgentEntry): Map<string, number> {
  const skills = card?.facts.skills ?? [];
  const counts = new Map<string, number>();
  const add = (text: string | undefined, weight: number): void => {
    for (const word of wordsOf(text ?? '')) counts.set(word, (counts.get(word) ?? 0) + weight);
  };
  add(config.name, WEIGHTS.name);
  add(card?.facts.name, WEIGHTS.name);
  add(config.tags.join(' '), WEIGHTS.tags);
  add(config.description, WEIGHTS.words);
  add(card?.facts.description, WEIGHTS.words);
  for (const { id, name, description, tags, examples } of skills) {
    add(`${id} ${name} ${tags.join(' ')}`, WEIGHTS.skills);
    add(`${description ?? ''} ${examples.join(' ')}`, WEIGHTS.words);
  }
  return counts;
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}
