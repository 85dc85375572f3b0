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

export type ReadCard = { ok: true; card: AgentCardFacts } | { ok: false; problem: string };

const MAX_BYTES = 256 * 1024;
const MAX_SKILLS = 1_000;
const MAX_INTERFACES = 64;
const MAX_NAME = 256;
const MAX_TEXT = 4_096;
const MAX_WORDS = 64;

/** `problem`: a sentence for people. */
export function readCard(source: string | Buffer): ReadCard {
  if (source.length > MAX_BYTES) return refused(`it is larger than ${MAX_BYTES} bytes`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(source.toString());
  } catch {
    return refused('it is not JSON');
  }
  const raw = objectOf(parsed);
  if (raw === undefined) return refused('it is not a JSON object');
  return factsOf(raw);
}

function factsOf(raw: JsonObject): ReadCard {
  const name = cleaned(raw.name, MAX_NAME);
  if (typeof raw.name !== 'string' || name === undefined) return refused('it has no name');
  if (raw.name.length > MAX_NAME) return refused(`its name has more than ${MAX_NAME} characters`);
  if (raw.skills !== undefined && !Array.isArray(raw.skills)) return refused('its skills are no list');
  const skills = (raw.skills ?? []) as unknown[];
  if (skills.length > MAX_SKILLS) return refused(`it has more than ${MAX_SKILLS} skills`);
  for (const member of ['supportedInterfaces', 'additionalInterfaces']) {
    const list = raw[member];
    if (list !== undefined && (!Array.isArray(list) || list.length > MAX_INTERFACES))
      return refused(`its ${member} are no list of places`);
  }
  const interfaces = interfacesIn(raw);
  if (interfaces.length === 0 && raw.url === undefined && raw.supportedInterfaces === undefined)
    return refused('it names no place to call');
  const capabilities = objectOf(raw.capabilities) ?? {};
  const description = cleaned(raw.description, MAX_TEXT);
  const version = cleaned(raw.version, MAX_WORDS);
  return {
    ok: true,
    card: {
      raw,
      protocol: Array.isArray(raw.supportedInterfaces) ? '1.0' : '0.3',
      interfaces,
      name,
      ...(description !== undefined && { description }),
      ...(version !== undefined && { version }),
      skills: skills.flatMap((skill) => skillOf(objectOf(skill))),
      streaming: capabilities.streaming === true,
      pushNotifications: capabilities.pushNotifications === true,
      extendedCard: capabilities.extendedAgentCard === true || raw.supportsAuthenticatedExtendedCard === true,
      hash: digestOf(raw),
      trustHash: digestOf(Object.fromEntries(TRUSTED.map((member) => [member, raw[member]]))),
      signed: Array.isArray(raw.signatures) && raw.signatures.length > 0,
    },
  };
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

function refused(why: string): ReadCard {
  return { ok: false, problem: `The card cannot be used: ${why}` };
}

function skillOf(skill: JsonObject | undefined): CardSkill[] {
  const id = cleaned(skill?.id, MAX_NAME);
  if (skill === undefined || id === undefined) return [];
  const description = cleaned(skill.description, MAX_TEXT);
  return [
    {
      id,
      name: cleaned(skill.name, MAX_NAME) ?? id,
      ...(description !== undefined && { description }),
      tags: wordsIn(skill.tags, MAX_NAME),
      examples: wordsIn(skill.examples, MAX_TEXT),
    },
  ];
}

function wordsIn(list: unknown, most: number): string[] {
  return Array.isArray(list) ? list.slice(0, MAX_WORDS).flatMap((word) => cleaned(word, most) ?? []) : [];
}

/** Undefined: no text, or nothing is left of it. */
function cleaned(value: unknown, most: number): string | undefined {
  if (typeof value !== 'string') return undefined;
  // Line breaks and tabs of a description stay; what could steer a terminal or turn a text around does not.
  const text = value
    .slice(0, most)
    // oxlint-disable-next-line no-control-regex -- they are what is looked for
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, '')
    .trim();
  return text === '' ? undefined : text;
}

/** Places of a card in 0.3's members and in 1.0's; one that stands in both is told once. */
function interfacesIn(raw: JsonObject): AgentInterface[] {
  const { supportedInterfaces, additionalInterfaces, url, preferredTransport = 'JSONRPC', protocolVersion } = raw;
  const modern = listOf(supportedInterfaces).map((each) =>
    placeOf(each.url, each.protocolBinding, each.protocolVersion ?? '1.0', each.tenant),
  );
  const legacy = [{ url, transport: preferredTransport }, ...listOf(additionalInterfaces)].map((each) =>
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
  return isHybrid || protocolVersion === undefined ? '0.3' : protocolVersion;
}

function listOf(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.map(objectOf).filter((each) => each !== undefined) : [];
}

function placeOf(url: unknown, binding: unknown, version: unknown, tenant: unknown): AgentInterface | undefined {
  const spoken = versionOf(version);
  const parsed = typeof url === 'string' ? URL.parse(url) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.username !== '' || parsed.password !== '') return undefined;
  if (spoken === undefined || (binding !== 'JSONRPC' && binding !== 'HTTP+JSON')) return undefined;
  parsed.hash = '';
  return { url: parsed.href, binding, version: spoken, ...(typeof tenant === 'string' && tenant !== '' && { tenant }) };
}

/** What differs between 0.2 and 0.3 is nothing that a gateway touches. */
function versionOf(version: unknown): AgentInterface['version'] | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(String(version)) ?? [];
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

/** Equal for equal JSON, whatever the order of its members. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const object = objectOf(value);
  if (object === undefined) return JSON.stringify(value) ?? 'null';
  const members = Object.keys(object).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(object[name])}`).join(',')}}`;
}
