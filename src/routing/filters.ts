/**
 * What excludes candidates before a strategy chooses. Grants, tags and region hold whatever happens. The others yield, in the order of YIELDING, where
 * without them nobody would be left and no other model stands ready: a breaker may be wrong about now, a table about what a model can do.
 */
import type { Candidate, Pool } from './candidate.ts';
import type { Picking } from './picking.ts';
import type { RouteRequest } from './request.ts';

export type FilterName = 'grants' | 'tags' | 'region' | 'capability' | 'context_window' | 'breaker' | 'limits';

/** First what may be over at any moment; last what the upstream will very likely refuse. */
export const YIELDING: readonly (readonly FilterName[])[] = [
  [],
  ['breaker'],
  ['breaker', 'limits'],
  ['breaker', 'limits', 'capability', 'context_window'],
];

export interface Filter {
  name: FilterName;
  /** Whether it could exclude anyone from this request; the calls below are about the request last begun. */
  begin: (picking: Picking) => boolean;
  passes: (index: number) => boolean;
  /** Why it does not pass, as a clause about the candidate. */
  because: (index: number) => string;
}

/** Those of a pool, in the order they explain themselves. */
export function createFilters(pool: Pool): readonly Filter[] {
  return [grants, tags, region, capability, contextWindow, breaker, limits].map((create) => create(pool));
}

function grants({ candidates }: Pool): Filter {
  let mayUse: RouteRequest['mayUse'];
  return {
    name: 'grants',
    begin: ({ request }) => {
      ({ mayUse } = request);
      return mayUse !== undefined;
    },
    passes: (index) => mayUse === undefined || mayUse(candidates[index]!),
    because: () => 'the caller may not use it',
  };
}

/** Targets of this tag serve requests that no target's tags speak of. */
const DEFAULT_TAG = 'default';

/**
 * As in LiteLLM: a request with tags goes to the targets that carry any of them; one without, or with tags that are only its accounting, to those
 * tagged `default`, and where there are none to those without tags. Where no target carries tags, they play no part.
 */
function tags({ candidates }: Pool): Filter {
  const known = [...new Set(candidates.flatMap((candidate) => candidate.tags))];
  const hasDefault = known.includes(DEFAULT_TAG);
  const servesUntagged = ({ tags }: Candidate): boolean => (hasDefault ? tags.includes(DEFAULT_TAG) : tags.length === 0);
  // Bit 0 stands for requests without a tag, the following ones for the tags; 32 to a word.
  const bitOf = new Map(known.map((tag, position) => [tag, position + 1]));
  const words = Math.ceil((known.length + 1) / 32);
  const carried = new Uint32Array(candidates.length * words);
  const asked = new Uint32Array(words);
  for (const [index, candidate] of candidates.entries()) {
    const own = carried.subarray(index * words, (index + 1) * words);
    if (servesUntagged(candidate)) setBit(own, 0);
    for (const tag of candidate.tags) setBit(own, bitOf.get(tag)!);
  }
  const bound = new Uint32Array(words);
  let askedTags: readonly string[] = [];
  let boundTags: readonly string[] = [];
  const mark = (asks: Uint32Array, names: readonly string[]): void => {
    asks.fill(0);
    for (const name of names) setBit(asks, bitOf.get(name)!);
    if (names.length === 0) setBit(asks, 0);
  };
  const meets = (index: number, asks: Uint32Array): boolean => {
    for (let word = 0; word < words; word++) if ((carried[index * words + word]! & asks[word]!) !== 0) return true;
    return false;
  };
  const isBound = (index: number): boolean => boundTags.length === 0 || meets(index, bound);
  return {
    name: 'tags',
    begin: ({ request }) => {
      if (known.length === 0) return false;
      askedTags = request.tags.filter((tag) => bitOf.has(tag));
      boundTags = request.boundTags?.filter((tag) => bitOf.has(tag)) ?? [];
      mark(bound, boundTags);
      // Who is bound and asks for nothing asks for what he is bound to.
      mark(asked, askedTags.length === 0 ? boundTags : askedTags);
      return true;
    },
    passes: (index) => meets(index, asked) && isBound(index),
    because: (index) => {
      const own = candidates[index]!.tags;
      const carries = own.length === 0 ? 'carries no tag' : `carries ${own.join(', ')}`;
      if (!isBound(index)) return `${carries}; the key is bound to ${boundTags.join(', ')}`;
      return `${carries}; the request asks for ${askedTags.length === 0 ? 'no tag' : askedTags.join(', ')}`;
    },
  };
}

function setBit(words: Uint32Array, bit: number): void {
  words[bit >>> 5]! |= 1 << (bit & 31);
}

/** A target without a region may be anywhere: it serves only requests that do not care. */
function region({ candidates }: Pool): Filter {
  const known = [...new Set(candidates.map((candidate) => candidate.region))];
  const regions = Int32Array.from(candidates, (candidate) => known.indexOf(candidate.region));
  const allowed = new Uint8Array(known.length);
  let asked = '';
  return {
    name: 'region',
    begin: ({ request }) => {
      if (request.region === undefined) return false;
      asked = request.region;
      for (const [at, each] of known.entries()) allowed[at] = each === asked || each?.startsWith(`${asked}-`) ? 1 : 0;
      return true;
    },
    passes: (index) => allowed[regions[index]!] === 1,
    because: (index) => `${inRegion(candidates[index]!)}; the request must stay in ${asked}`,
  };
}

function inRegion({ region }: Candidate): string {
  return region === undefined ? 'its region is not known' : `is in ${region}`;
}

/** What a request may need, and the words for it: those of our model tables, and those that operators write. */
const ABILITIES = [
  { need: 'tools', words: ['tools'], clause: 'has no tools' },
  { need: 'vision', words: ['images', 'vision'], clause: 'sees no images' },
  { need: 'jsonSchema', words: ['structured_output', 'json_schema'], clause: 'follows no JSON schema' },
] as const;

function capability({ candidates }: Pool): Filter {
  const abilities = Uint8Array.from(candidates, ({ capabilities }) =>
    bitsOf(({ words }) => capabilities === undefined || words.some((word) => capabilities.includes(word))),
  );
  const every = abilities.reduce((common, own) => common & own, 7);
  let needed = 0;
  return {
    name: 'capability',
    begin: ({ request: { needs } }) => {
      needed = (needs.tools ? 1 : 0) | (needs.vision ? 2 : 0) | (needs.jsonSchema ? 4 : 0);
      return (needed & ~every) !== 0;
    },
    passes: (index) => (needed & ~abilities[index]!) === 0,
    because: (index) => {
      const missing = needed & ~abilities[index]!;
      return ABILITIES.filter((_, bit) => (missing & (1 << bit)) !== 0)
        .map(({ clause }) => clause)
        .join(', ');
    },
  };
}

function bitsOf(has: (ability: (typeof ABILITIES)[number]) => boolean): number {
  return ABILITIES.reduce((bits, ability, bit) => (has(ability) ? bits | (1 << bit) : bits), 0);
}

/** Input and the output that was asked for share the window; of the output at most what the model gives. */
function contextWindow({ candidates }: Pool): Filter {
  const windows = Float64Array.from(candidates, (candidate) => candidate.contextWindow ?? Infinity);
  const outputs = Float64Array.from(candidates, ({ target }) => target.bounds?.maxOutputTokens ?? Infinity);
  const smallest = windows.reduce((least, own) => Math.min(least, own), Infinity);
  let input = 0;
  let output = 0;
  const needed = (index: number): number => input + Math.min(output, outputs[index]!);
  return {
    name: 'context_window',
    begin: ({ request }) => {
      input = request.inputTokens;
      output = request.maxOutputTokens ?? 0;
      return input + output > smallest;
    },
    passes: (index) => needed(index) <= windows[index]!,
    because: (index) => `takes ${windows[index]!} tokens; the request needs ${needed(index)}`,
  };
}

function breaker({ places }: Pool): Filter {
  let picking: Picking | undefined;
  return {
    name: 'breaker',
    begin: (begun) => {
      picking = begun;
      return true;
    },
    passes: (index) => picking!.live.breaker(places[index]!, picking!.nowMs) !== 'open',
    because: (index) => `is left alone until ${new Date(picking!.live.openUntilMs(places[index]!)).toISOString()} after failures`,
  };
}

function limits({ places, limited }: Pool): Filter {
  const any = limited.includes(1);
  let picking: Picking | undefined;
  const used = (index: number): [string, number][] => {
    const { live, nowMs } = picking!;
    const place = places[index]!;
    return [
      ['requests', live.requestsUsed(place, nowMs)],
      ['tokens', live.tokensUsed(place, nowMs)],
      ['places', live.concurrencyUsed(place)],
    ];
  };
  return {
    name: 'limits',
    begin: (begun) => {
      picking = begun;
      return any;
    },
    passes: (index) => {
      if (limited[index] === 0) return true;
      const { live, nowMs } = picking!;
      const place = places[index]!;
      return live.requestsUsed(place, nowMs) < 1 && live.tokensUsed(place, nowMs) < 1 && live.concurrencyUsed(place) < 1;
    },
    because: (index) => {
      const spent = used(index).filter(([, share]) => share >= 1);
      return `its own ${spent.map(([what]) => what).join(' and ')} are used up`;
    },
  };
}
