/**
 * The card of an agent (A2A 1.0.1 §4.4 and §8, A2A 0.3.0 §5), read from raw JSON of either shape. What is kept and served is the raw card; what we act on is read
 * here, since the SDK's own reading checks nothing and drops what it does not know.
 */
import { createHash } from 'node:crypto';

import type { AgentInterface } from '../core/agent.ts';
import { type JsonObject } from './a2a/methods.ts';
import { objectOf } from './a2a/read.ts';

export interface CardSkill {
  id: string;
  name: string;
  description?: string;
  tags: readonly string[];
  examples: readonly string[];
}

/** Texts are cleaned of control characters and cut: a card is a stranger's word. */
export interface AgentCardFacts {
  raw: Readonly<Record<string, unknown>>;
  /** A card of both shapes counts as one of 1.0. */
  protocol: '1.0' | '0.3';
  /** All that can be spoken here, in the card's order. */
  interfaces: readonly AgentInterface[];
  name: string;
  description?: string;
  version?: string;
  skills: readonly CardSkill[];
  streaming: boolean;
  pushNotifications: boolean;
  extendedCard: boolean;
  /** SHA-256 of the canonical JSON of all of it, hex. */
  hash: string;
  /** The same of where it leads and by what security: another card with an equal one may be adopted by itself. */
  trustHash: string;
  signed: boolean;
}

/** `problem`: a sentence for people, with no word of the card in it. */
export type ReadCard = { ok: true; card: AgentCardFacts } | { ok: false; problem: string };

export const MAX_CARD_BYTES = 256 * 1024;
const MAX_SKILLS = 1_000;
const MAX_INTERFACES = 64;
const MAX_NAME = 256;
const MAX_TEXT = 4_096;
const MAX_WORDS = 64;
/** Deeper ones are made to overflow the stack of whoever walks through them. */
const MAX_DEPTH = 64;

export function readCard(source: string | Buffer): ReadCard {
  if (Buffer.byteLength(source) > MAX_CARD_BYTES) return tooLarge();
  let parsed: unknown;
  try {
    parsed = JSON.parse(source.toString());
  } catch {
    return refused('it is not JSON');
  }
  const raw = objectOf(parsed);
  if (raw === undefined) return refused('it is not a JSON object');
  if (!isWithin(raw, MAX_DEPTH)) return refused(`it is nested deeper than ${MAX_DEPTH} levels`);
  return factsOf(raw);
}

function factsOf(raw: JsonObject): ReadCard {
  const problem = problemOf(raw);
  if (problem !== undefined) return refused(problem);
  const capabilities = objectOf(raw.capabilities) ?? {};
  const description = cleaned(raw.description, MAX_TEXT);
  const version = lineOf(raw.version, MAX_WORDS);
  return {
    ok: true,
    card: {
      raw,
      protocol: listOf(raw.supportedInterfaces).length > 0 ? '1.0' : '0.3',
      interfaces: interfacesIn(raw),
      name: lineOf(raw.name, MAX_NAME)!,
      ...(description !== undefined && { description }),
      ...(version !== undefined && { version }),
      skills: listOf(raw.skills).flatMap(skillOf),
      streaming: capabilities.streaming === true,
      pushNotifications: capabilities.pushNotifications === true,
      extendedCard: capabilities.extendedAgentCard === true || raw.supportsAuthenticatedExtendedCard === true,
      hash: digestOf(raw),
      trustHash: digestOf(trustedOf(raw)),
      signed: listOf(raw.signatures).length > 0,
    },
  };
}

function problemOf(raw: JsonObject): string | undefined {
  const { name, skills, url, supportedInterfaces } = raw;
  if (lineOf(name, MAX_NAME) === undefined) return 'it has no name';
  if ((name as string).length > MAX_NAME) return `its name has more than ${MAX_NAME} characters`;
  // What serialisers of some languages write as null is not there.
  if (!isAbsent(skills) && !Array.isArray(skills)) return 'its skills are no list';
  if (listOf(skills).length > MAX_SKILLS) return `it has more than ${MAX_SKILLS} skills`;
  const isPlaces = (list: unknown): boolean => isAbsent(list) || (Array.isArray(list) && list.length <= MAX_INTERFACES);
  const strange = ['supportedInterfaces', 'additionalInterfaces'].find((member) => !isPlaces(raw[member]));
  if (strange !== undefined) return `its ${strange} are no list of at most ${MAX_INTERFACES} places`;
  return isAbsent(url) && isAbsent(supportedInterfaces) ? 'it names no place to call' : undefined;
}

/** Where calls go, and with what. */
const TRUSTED = [
  'supportedInterfaces',
  'url',
  'preferredTransport',
  'additionalInterfaces',
  'securitySchemes',
  'security',
  'securityRequirements',
];

/** Where a card found at `url` leads and by what security, whatever the origin at which it was found. */
export function trustAt({ raw }: Pick<AgentCardFacts, 'raw'>, url: string): string {
  const { origin } = new URL(url);
  const written = canonical(trustedOf(raw));
  return written.replaceAll(`"${origin}/`, '"/').replaceAll(`"${origin}"`, '"/"');
}

function trustedOf(raw: Readonly<Record<string, unknown>>): JsonObject {
  // Which version is spoken there no member of those alone tells.
  const interfaces = interfacesIn(raw);
  return { ...Object.fromEntries(TRUSTED.map((member) => [member, raw[member]])), interfaces };
}

/** What is cut off is not read. */
export function tooLarge(): ReadCard {
  return refused(`it is larger than ${MAX_CARD_BYTES} bytes`);
}

function refused(why: string): ReadCard {
  return { ok: false, problem: `The card cannot be used: ${why}` };
}

function skillOf(skill: JsonObject): CardSkill[] {
  const id = lineOf(skill.id, MAX_NAME);
  if (id === undefined) return [];
  const description = cleaned(skill.description, MAX_TEXT);
  return [
    {
      id,
      name: lineOf(skill.name, MAX_NAME) ?? id,
      ...(description !== undefined && { description }),
      tags: listFrom(skill.tags, (tag) => lineOf(tag, MAX_NAME)),
      examples: listFrom(skill.examples, (example) => cleaned(example, MAX_TEXT)),
    },
  ];
}

function listFrom(list: unknown, read: (value: unknown) => string | undefined): string[] {
  return Array.isArray(list) ? list.slice(0, MAX_WORDS).flatMap((each) => read(each) ?? []) : [];
}

/**
 * What could steer a terminal, turn a text around, hide in it or be half a character (`Default_Ignorable`: invisible, tags that spell a second text included). Line breaks
 * and tabs stay, and what joins and varies emoji.
 */
const UNWANTED = /(?!\n|\t|\u200D|\uFE0E|\uFE0F)[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}]/gu;

/** The same value with every text in it cleaned, whole. */
export function cleanedWhole(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(UNWANTED, '');
  if (Array.isArray(value)) return value.map(cleanedWhole);
  const object = objectOf(value);
  return object === undefined
    ? value
    : Object.fromEntries(Object.entries(object).map(([name, each]) => [name, cleanedWhole(each)]));
}

/** Undefined: no text, or nothing is left of it. */
function cleaned(value: unknown, most: number): string | undefined {
  if (typeof value !== 'string') return undefined;
  const text = value.slice(0, most).replace(UNWANTED, '').trim();
  return text === '' ? undefined : text;
}

/** The same of what is told in a line. */
function lineOf(value: unknown, most: number): string | undefined {
  return cleaned(value, most)?.replace(/\s+/g, ' ');
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

function isWithin(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return levels > 0 && Object.values(value).every((each) => isWithin(each, levels - 1));
}

/** Places of a card in 0.3's members and in 1.0's; one that stands in both is told once. */
function interfacesIn(raw: JsonObject): AgentInterface[] {
  const { supportedInterfaces, additionalInterfaces, url, preferredTransport, protocolVersion } = raw;
  const modern = listOf(supportedInterfaces).map((each) =>
    placeOf(each.url, each.protocolBinding, each.protocolVersion ?? '1.0', each.tenant),
  );
  const legacy = [{ url, transport: preferredTransport ?? 'JSONRPC' }, ...listOf(additionalInterfaces)].map((each) =>
    placeOf(each.url, each.transport, oldVersion(protocolVersion, modern.length > 0), undefined),
  );
  const found = new Map<string, AgentInterface>();
  for (const place of [...modern, ...legacy]) {
    if (place === undefined) continue;
    const key = `${place.url} ${place.binding} ${place.version}`;
    if (!found.has(key)) found.set(key, place);
  }
  return [...found.values()];
}

/** The card's own version speaks for its members of 0.3; on a card of both shapes they are there for 0.3. */
function oldVersion(protocolVersion: unknown, isHybrid: boolean): unknown {
  return isHybrid ? '0.3' : (protocolVersion ?? '0.3');
}

function listOf(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.map(objectOf).filter((each) => each !== undefined) : [];
}

function placeOf(url: unknown, transport: unknown, version: unknown, tenant: unknown): AgentInterface | undefined {
  const spoken = versionOf(version);
  // As clients do it, whatever the case.
  const binding = typeof transport === 'string' ? transport.toUpperCase() : undefined;
  const parsed = typeof url === 'string' ? URL.parse(url) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.username !== '' || parsed.password !== '') return undefined;
  if (spoken === undefined || (binding !== 'JSONRPC' && binding !== 'HTTP+JSON')) return undefined;
  parsed.hash = '';
  return { url: parsed.href, binding, version: spoken, ...(typeof tenant === 'string' && tenant !== '' && { tenant }) };
}

/** A member of JSON may be what cannot become a text. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** What differs between 0.2 and 0.3 is nothing that a gateway touches. */
function versionOf(version: unknown): AgentInterface['version'] | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(typeof version === 'number' ? version.toFixed(1) : textOf(version)) ?? [];
  if (major === '1') return '1.0';
  return major === '0' && (minor === '2' || minor === '3') ? '0.3' : undefined;
}

/**
 * The card gives path, binding and version; the place is the operator's word. What it says of another origin holds there, unless that origin is allowed.
 */
export function placeInterfaces(
  interfaces: readonly AgentInterface[],
  registeredUrl: string,
  allowedOrigins: readonly string[],
): AgentInterface[] {
  const { origin } = new URL(registeredUrl);
  return interfaces.map((each) => {
    const url = new URL(each.url);
    if (url.origin === origin || allowedOrigins.includes(url.origin)) return each;
    return { ...each, url: origin + url.pathname + url.search };
  });
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('hex');
}

/** Equal for equal JSON, whatever the order of its members (RFC 8785). */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const object = objectOf(value);
  if (object === undefined) return JSON.stringify(value) ?? 'null';
  const members = Object.keys(object).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(object[name])}`).join(',')}}`;
}
