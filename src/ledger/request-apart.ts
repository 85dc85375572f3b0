/**
 * What a provider bills beside the tokens that a request shows: searches, code it runs, other models it calls, dearer classes of service. Where that has a bound
 * and a price, both are told; else why the request cannot be priced. Whatever is not known to be the client's own counts as billed apart.
 */
import { type Item, itemsWith } from '../lib/json-list.ts';
import { type Span, readNumber, readString } from '../lib/json-scan.ts';
import { COLON } from '../lib/ascii.ts';
import { skipSpace } from '../lib/json-skip.ts';
import { type RequestShape, addedByOperator, hidesLetters, isGiven, isSet } from './request-shape.ts';

export interface Apart {
  /** At most so many web searches. */
  webSearches: number;
  /** Why there is no bound; one clause that follows "because". */
  unbounded?: string;
}

const NOTHING_APART: Apart = { webSearches: 0 };

/** Members that make a provider do what no token count tells, by what they do. */
const MEMBERS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    web_search_options: 'searches of the web are billed apart',
    search_parameters: 'searches of the web are billed apart',
    enable_search: 'searches of the web are billed apart',
    plugins: 'plugins of the provider are billed apart',
    mcp_servers: 'servers that the provider calls may add any number of tokens',
    container: 'code that the provider runs is billed apart',
    compound_custom: 'tools of the provider are billed apart',
    background: 'an answer in the background is billed after it was sent',
    models: 'another model may answer, at another price',
    fallbacks: 'another model may answer, at another price',
    prediction: 'what it predicts wrongly is billed beside the answer',
  }),
);

/** Members that choose among prices, with the values that cost the list price or less. */
const CLASSES: ReadonlyMap<string, readonly (string | undefined)[]> = new Map(
  Object.entries({
    service_tier: ['auto', 'default', 'standard', 'standard_only', 'flex', 'on_demand'],
    speed: ['standard'],
    inference_geo: ['global'],
  }),
);

/** Tools that the client runs itself: their whole cost is tokens. The names of Anthropic's carry dates. */
const OWN_TOOLS =
  /^(?:function|custom|local_shell|shell|apply_patch|computer|computer_use_preview|(?:bash|text_editor|computer|memory)_\d+)$/;
const WEB_SEARCH = /^web_search(?:_preview)?(?:_[\d_]+)?$/;

export function billedApart(shape: RequestShape): Apart {
  const asked = apartIn(shape);
  const added = asked.unbounded === undefined ? addedByOperator(shape) : undefined;
  if (added === undefined) return asked;
  const more = apartIn(added);
  return { ...more, webSearches: asked.webSearches + more.webSearches };
}

function apartIn(shape: RequestShape): Apart {
  // Bodies have fewer members than there are words to look for.
  for (const name of shape.members.keys()) {
    const unbounded = whyUnbounded(shape, name);
    if (unbounded !== undefined) return { webSearches: 0, unbounded };
  }
  const tools = shape.members.get('tools');
  return tools === undefined || !isSet(shape, 'tools') ? NOTHING_APART : toolsApart(shape, tools);
}

function whyUnbounded(shape: RequestShape, name: string): string | undefined {
  const why = MEMBERS.get(name);
  if (why !== undefined) return isGiven(shape, name) ? why : undefined;
  const usual = CLASSES.get(name);
  if (usual !== undefined && isSet(shape, name) && !usual.includes(readString(shape.bytes, shape.members.get(name)))) {
    return `its \`${name}\` has another price`;
  }
  if (name === 'context_management' && summarizes(shape)) return 'summaries of the conversation are billed beside the answer';
  return undefined;
}

/** `compact_20260112`, `compaction`: another run of the model. What only clears old turns costs nothing. */
function summarizes({ bytes, members }: RequestShape): boolean {
  const { valueStart, valueEnd } = members.get('context_management')!;
  const value = bytes.subarray(valueStart, valueEnd);
  return value.includes('compact') || hidesLetters(value);
}

const TYPE = Buffer.from('ype"');
/** What the types of functions and of their parameters are called. */
const HARMLESS = /^(?:"(?:function|custom|object|string|number|integer|boolean|array|null)"|[[{])/;
const LONGEST_HARMLESS = 10;

/**
 * Whether every `type` among the tools, at any depth, is one that functions and their parameters have: then no tool can have another. Six times as fast as a look at each
 * tool, which decides where this does not.
 */
function onlyFunctions({ bytes }: RequestShape, { valueStart, valueEnd }: Span): boolean {
  for (let at = bytes.indexOf(TYPE, valueStart); at !== -1 && at < valueEnd; at = bytes.indexOf(TYPE, at + TYPE.length)) {
    const colon = skipSpace(bytes, at + TYPE.length);
    // A text may end with the word.
    if (bytes[colon] !== COLON) continue;
    const value = skipSpace(bytes, colon + 1);
    if (!HARMLESS.test(bytes.toString('latin1', value, value + LONGEST_HARMLESS))) return false;
  }
  return !hidesLetters(bytes);
}

function toolsApart(shape: RequestShape, tools: Span): Apart {
  if (onlyFunctions(shape, tools)) return NOTHING_APART;
  const items = itemsWith(shape.bytes, tools, 'type');
  if (items === undefined) return { webSearches: 0, unbounded: 'its tools are written so that they cannot be told' };
  let webSearches = 0;
  for (const item of items) {
    const uses = usesOf(shape, item);
    if (typeof uses === 'string') return { webSearches: 0, unbounded: uses };
    webSearches += uses;
  }
  return { webSearches };
}

/** How often the provider may run it: 0 for tools of the client. A clause where nobody knows. */
function usesOf(shape: RequestShape, { start, end, found }: Item): number | string {
  const [type, another] = found;
  // Anthropic's custom tools need no type.
  if (type === undefined) return 0;
  const name = readString(shape.bytes, type);
  if (another !== undefined || name === undefined) return 'its tools are written so that they cannot be told';
  if (OWN_TOOLS.test(name)) return 0;
  const most = WEB_SEARCH.test(name) ? (maxUses(shape.bytes, start, end) ?? maxToolCalls(shape)) : undefined;
  return most ?? `the tool \`${name.slice(0, 64)}\` is run and billed by the provider`;
}

/** Anthropic's bound, inside the tool. */
function maxUses(bytes: Buffer, start: number, end: number): number | undefined {
  const { max_uses: most } = JSON.parse(bytes.toString('utf8', start, end)) as { max_uses?: unknown };
  return typeof most === 'number' && most >= 0 ? Math.ceil(most) : undefined;
}

/** The bound of OpenAI's responses, over all tools. */
function maxToolCalls({ bytes, members }: RequestShape): number | undefined {
  const most = readNumber(bytes, members.get('max_tool_calls'));
  return most !== undefined && most >= 0 ? Math.ceil(most) : undefined;
}
