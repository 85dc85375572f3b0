/** What the planner must know of an exchange: read from headers and from the bytes of the body, and only as far as the choice can depend on it. */
import { GatewayError } from '../core/errors.ts';
import type { StickyKind } from '../core/routing.ts';
import { readNumber, readString } from '../lib/json-scan.ts';
import { CAP_NAMES } from '../ledger/request-shape.ts';
import type { Pool } from '../routing/candidate.ts';
import { hashBytes, hashText } from '../routing/hash.ts';
import type { RouteRequest } from '../routing/request.ts';
import { keyOf, prefixKey } from '../routing/sticky.ts';
import type { ClientBody } from './body.ts';
import type { Exchange } from './exchange.ts';

const NO_NEEDS: RouteRequest['needs'] = { tools: false, vision: false, jsonSchema: false };

/** Throws bad_header where tags or a region cannot be read. */
export function routeRequestOf(exchange: Exchange, body: ClientBody, pool: Pool): RouteRequest {
  const bound = boundTags(exchange, pool);
  const region = regionAsked(exchange);
  const request: RouteRequest = {
    inputTokens: 0,
    outputTokens: 0,
    needs: NO_NEEDS,
    tags: tagsAsked(exchange),
    ...(region !== undefined && { region }),
    ...(bound.length > 0 && { boundTags: bound }),
  };
  if (pool.candidates.length > 1 || hasFallbacks(exchange)) weigh(exchange, body, { pool, request });
  return request;
}

function hasFallbacks({ resolved }: Exchange): boolean {
  for (const _ in resolved!.model.routing.fallbacks) return true;
  return false;
}

/** What decides among several. */
function weigh(exchange: Exchange, body: ClientBody, { pool, request }: { pool: Pool; request: RouteRequest }): void {
  const { plane, surface, stream } = exchange;
  const kind = `${pool.candidates[0]!.target.id} ${surface.name} ${stream ? 'stream' : 'whole'}`;
  request.needs = needsOf(body);
  request.inputTokens = plane.estimator.inputTokens(kind, bytesOfText(body, request.needs.vision));
  const maxOutputTokens = capOf(body);
  request.outputTokens = Math.min(plane.estimator.answerTokens(kind), maxOutputTokens ?? Infinity);
  if (maxOutputTokens !== undefined) request.maxOutputTokens = maxOutputTokens;
  const stickyKey = stickyKeyOf(exchange, body);
  if (stickyKey !== undefined) request.stickyKey = stickyKey;
  const pinned = pinOf(exchange, body);
  if (pinned !== undefined) request.pinned = pinned;
  const cachedAt = cachedPrompt(exchange, body);
  if (cachedAt !== undefined) request.cachedAt = cachedAt;
}

/** Tags of the key bind it, where any target carries one of them: a client may ask for less, never for more. */
function boundTags({ caller }: Exchange, { candidates }: Pool): readonly string[] {
  const { key, ancestors } = caller!;
  const own = ancestors.length === 0 ? key.tags : [key, ...ancestors].flatMap(({ tags }) => tags);
  return own.length === 0 ? own : own.filter((tag) => candidates.some(({ tags }) => tags.includes(tag)));
}

const TAG = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$/;
const MOST_TAGS = 16;
const REGION = /^[a-z0-9][a-z0-9-]{0,31}$/;
const NO_TAGS: readonly string[] = [];

function tagsAsked({ request: { headers } }: Exchange): readonly string[] {
  const name = headers['x-signalbox-tags'] === undefined ? 'x-litellm-tags' : 'x-signalbox-tags';
  const value = headers[name];
  if (value === undefined) return NO_TAGS;
  const tags = String(value)
    .split(',')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '');
  if (tags.length > MOST_TAGS || !tags.every((tag) => TAG.test(tag)))
    throw badHeader(name, `up to ${MOST_TAGS} tags, with commas between them`);
  return tags;
}

function regionAsked({ request: { headers } }: Exchange): string | undefined {
  const value = headers['x-signalbox-region'];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || !REGION.test(value))
    throw badHeader('x-signalbox-region', 'a region such as `eu` or `eu-west-1`');
  return value;
}

function badHeader(name: string, expected: string): GatewayError {
  return new GatewayError('bad_header', { details: { message: `The header \`${name}\` must hold ${expected}` } });
}

/** By words that stand in a body only as names of members: in a text their quotes are escaped. */
function needsOf({ bytes, scan: { members } }: ClientBody): RouteRequest['needs'] {
  const says = (member: string, word: string): boolean => {
    const span = members.get(member);
    return span !== undefined && bytes.subarray(span.valueStart, span.valueEnd).includes(word);
  };
  return {
    tools: says('tools', '{') || says('functions', '{'),
    vision: ['messages', 'input'].some((member) => IMAGE_WORDS.some((word) => says(member, word))),
    jsonSchema:
      says('response_format', '"json_schema"') || says('text', '"json_schema"') || says('output_config', '"json_schema"'),
  };
}

const IMAGE_WORDS = ['"image_url"', '"input_image"', '"image"'];
const DATA_URL = ';base64,';
const ANTHROPIC_DATA = '"data"';

/** Images are bytes, but hardly any tokens. */
function bytesOfText({ bytes }: ClientBody, hasImages: boolean): number {
  if (!hasImages) return bytes.length;
  let text = bytes.length;
  for (const mark of [DATA_URL, ANTHROPIC_DATA]) {
    for (let at = bytes.indexOf(mark); at !== -1; at = bytes.indexOf(mark, at + 1)) {
      const from = mark === ANTHROPIC_DATA ? bytes.indexOf('"', at + mark.length) + 1 : at + mark.length;
      const to = bytes.indexOf('"', from);
      if (to > from) text -= to - from;
    }
  }
  return Math.max(0, text);
}

function capOf({ bytes, scan }: ClientBody): number | undefined {
  for (const name of CAP_NAMES) {
    const cap = readNumber(bytes, scan.members.get(name));
    if (cap !== undefined && cap > 0) return cap;
  }
  return undefined;
}

const SESSION_HEADERS = ['x-signalbox-session', 'x-session-id', 'x-litellm-session-id'];

function stickyKeyOf(exchange: Exchange, body: ClientBody): number | undefined {
  for (const kind of exchange.resolved!.model.routing.sticky) {
    const key = STICKY[kind](exchange, body);
    if (key !== undefined) return key;
  }
  return undefined;
}

const STICKY: Readonly<Record<StickyKind, (exchange: Exchange, body: ClientBody) => number | undefined>> = {
  session: (exchange, body) => {
    const name = sessionOf(exchange, body);
    return name === undefined ? undefined : keyOf(exchange.caller!.key.id, name);
  },
  user: ({ caller, endUser }) => keyOf(caller!.key.id, endUser ?? ''),
  prefix: (_, body) => prefixKey(promptOf(body)),
};

/** Headers first; then what OpenAI's clients name the cache by, and what Anthropic's agents name their user and session. */
function sessionOf({ request: { headers }, surface }: Exchange, { bytes, scan: { members } }: ClientBody): string | undefined {
  const told = SESSION_HEADERS.map((name) => headers[name]).find((value) => typeof value === 'string' && value !== '');
  if (told !== undefined) return String(told);
  const key = readString(bytes, members.get('prompt_cache_key'));
  if (key !== undefined || surface.errorKind !== 'anthropic') return key;
  const span = members.get('metadata');
  const metadata =
    span === undefined ? '' : bytes.toString('utf8', span.valueStart, Math.min(span.valueEnd, span.valueStart + 512));
  return /"user_id"\s*:\s*"([^"]*session[^"]*)"/.exec(metadata)?.[1];
}

const PROMPT_MEMBERS = ['tools', 'system', 'instructions', 'messages', 'input'];
const MOST_PROMPT_BYTES = 4_096;

/** Its beginning, in the order in which providers cache it. */
function promptOf({ bytes, scan: { members } }: ClientBody): Uint8Array {
  const parts: Buffer[] = [];
  let size = 0;
  for (const name of PROMPT_MEMBERS) {
    const span = members.get(name);
    if (span === undefined || size >= MOST_PROMPT_BYTES) continue;
    const part = bytes.subarray(span.valueStart, Math.min(span.valueEnd, span.valueStart + MOST_PROMPT_BYTES - size));
    parts.push(part);
    size += part.length;
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

/** What refers to a stored response goes where that is stored. */
function pinOf({ plane, surface }: Exchange, { bytes, scan }: ClientBody): number | undefined {
  if (surface.name !== 'responses') return undefined;
  const previous = readString(bytes, scan.members.get('previous_response_id'));
  return previous === undefined ? undefined : plane.pins.placeOf(previous);
}

function cachedPrompt(exchange: Exchange, body: ClientBody): RouteRequest['cachedAt'] {
  const { strategy, sticky } = exchange.resolved!.model.routing;
  if (strategy !== 'cost' && !sticky.includes('prefix')) return undefined;
  const prompt = promptOf(body);
  if (prompt.length < MOST_PROMPT_BYTES) return undefined;
  exchange.promptKey = hashText(exchange.resolved!.model.name) ^ hashBytes(prompt, MOST_PROMPT_BYTES);
  return exchange.plane.warmPrompts.placeOf(exchange.promptKey, exchange.plane.nowMs());
}

/** Wall clock, ms: the model's deadline, or the client's own where that is sooner; the SDKs of OpenAI and Anthropic tell theirs in seconds. */
export function deadlineAtMs({ atMs, resolved, request }: Exchange): number {
  const own = resolved!.model.routing.deadlineMs;
  const told = Number(request.headers['x-stainless-timeout']);
  return atMs + (told > 0 ? Math.min(own, told * 1000) : own);
}
