/** The card that we serve for an agent: what the agent says of itself, cleaned, with our places and our security in it. On raw JSON, so that nothing unknown is lost. */
import type { JsonObject } from './a2a/methods.ts';
import { objectOf } from './a2a/read.ts';
import { cleanedWhole } from './card.ts';

export interface ServedAs {
  /** `https://gateway/a2a/name`, without a trailing slash. */
  baseUrl: string;
  /** `hybrid`: both versions' members, for whoever does not say which it reads. */
  version: '1.0' | '0.3' | 'hybrid';
  capabilities: { pushNotifications: boolean; streaming: boolean };
}

const SCHEME = 'signalbox';

/** Members that lead past us, or vouch for what is no longer there. */
const DROPPED = bothNamesOf([
  'signatures',
  'supportedInterfaces',
  'url',
  'preferredTransport',
  'additionalInterfaces',
  'protocolVersion',
  'securitySchemes',
  'security',
  'securityRequirements',
  'supportsAuthenticatedExtendedCard',
]);
const FLAGS = bothNamesOf(['streaming', 'pushNotifications', 'extendedAgentCard']);
const OF_SKILL = bothNamesOf(['security', 'securityRequirements']);

export function rewriteCard(told: Readonly<JsonObject>, served: ServedAs): JsonObject {
  const card = cleanedWhole(told) as JsonObject;
  const kept = without(DROPPED, card);
  const capabilities = objectOf(card.capabilities) ?? {};
  const extended = capabilities.extendedAgentCard === true || card.supportsAuthenticatedExtendedCard === true;
  const is1 = served.version !== '0.3';
  const is03 = served.version !== '1.0';
  return {
    ...kept,
    description: kept.description ?? '',
    version: kept.version ?? '0',
    capabilities: { ...without(FLAGS, capabilities), ...served.capabilities, ...(is1 && { extendedAgentCard: extended }) },
    defaultInputModes: listOr(card.defaultInputModes, ['text/plain']),
    defaultOutputModes: listOr(card.defaultOutputModes, ['text/plain']),
    skills: listOr(card.skills, []).flatMap((skill) => openSkill(objectOf(skill))),
    ...(is1 && modernPart(served)),
    ...(is03 && legacyPart(served, extended)),
    ...securityPart(served.version),
  };
}

/** In the order in which clients without a preference try them. */
function modernPart({ baseUrl }: ServedAs): JsonObject {
  return {
    supportedInterfaces: ['1.0', '0.3'].flatMap((protocolVersion) =>
      ['JSONRPC', 'HTTP+JSON'].map((protocolBinding) => ({ url: baseUrl, protocolBinding, protocolVersion })),
    ),
  };
}

/** REST of 0.3 begins with `/v1`, which its clients append themselves. */
function legacyPart({ baseUrl }: ServedAs, extended: boolean): JsonObject {
  return {
    protocolVersion: '0.3.0',
    url: baseUrl,
    preferredTransport: 'JSONRPC',
    additionalInterfaces: ['JSONRPC', 'HTTP+JSON'].map((transport) => ({ url: baseUrl, transport })),
    supportsAuthenticatedExtendedCard: extended,
  };
}

/** Callers present a key of ours; how we prove ourselves to the agent is nobody's business. Clients of 1.0 read 0.3's form of a scheme as well. */
function securityPart(version: ServedAs['version']): JsonObject {
  if (version === '1.0') {
    return {
      securitySchemes: { [SCHEME]: { httpAuthSecurityScheme: { scheme: 'Bearer' } } },
      securityRequirements: [{ schemes: { [SCHEME]: { list: [] } } }],
    };
  }
  return {
    securitySchemes: { [SCHEME]: { type: 'http', scheme: 'bearer' } },
    security: [{ [SCHEME]: [] }],
    ...(version === 'hybrid' && { securityRequirements: [{ schemes: { [SCHEME]: { list: [] } } }] }),
  };
}

/** What is no skill breaks clients that read all of them. */
function openSkill(skill: JsonObject | undefined): JsonObject[] {
  if (skill === undefined) return [];
  const open = without(OF_SKILL, skill);
  return [{ ...open, tags: listOr(open.tags, []) }];
}

function without(members: ReadonlySet<string>, object: Readonly<JsonObject>): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([member]) => !members.has(member)));
}

/** Clients of 1.0 read the JSON of protobuf, in which a member may have its field's name as well: `supported_interfaces`. */
function bothNamesOf(members: readonly string[]): ReadonlySet<string> {
  return new Set(members.flatMap((member) => [member, member.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)]));
}

function listOr(value: unknown, otherwise: readonly unknown[]): readonly unknown[] {
  return Array.isArray(value) ? value : otherwise;
}
