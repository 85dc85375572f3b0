/** What single values must look like. Each answers the complaint, or nothing. No complaint repeats the value. */
import ipaddr from 'ipaddr.js';

import { agentNameProblem } from '../core/agent.ts';
import { EVENT_TYPES } from '../core/fact.ts';
import { webhookKey } from '../lib/webhook-signature.ts';

type Problem = string | undefined;

export function urlProblem(value: string): Problem {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) return 'must be an http:// or https:// URL';
  if (url.username !== '' || url.password !== '') return 'must not carry a user or password';
  return url.search === '' && url.hash === '' ? undefined : 'must not have a query or a fragment';
}

/** A proxy may ask for a user and password in its URL. */
export function proxyUrlProblem(value: string): Problem {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) return 'must be an http:// or https:// URL';
  return url.pathname === '/' && url.search === '' && url.hash === '' ? undefined : 'must be a scheme, host and port, no more';
}

/** The driver reads the rest of a database's URL. */
export function storeUrlProblem(value: string): Problem {
  if (!/^[a-z][a-z0-9+.-]*:/i.test(value)) return undefined;
  return /^postgres(ql)?:\/\/./.test(value) && URL.canParse(value)
    ? undefined
    : 'must be the path of a file, or a URL that begins with postgres://';
}

export function originProblem(value: string): Problem {
  if (urlProblem(value) === undefined && new URL(value).origin === value) return undefined;
  return 'must be an origin such as https://app.example.com, without a path or a trailing slash';
}

export function corsOriginProblem(value: string): Problem {
  return value === '*' ? undefined : originProblem(value);
}

/** One address counts as a range of one. */
export function cidrProblem(value: string): Problem {
  if (!value.includes('/') && ipaddr.isValid(value) && isWhole(value)) return undefined;
  if (ipaddr.isValidCIDR(value) && isWhole(value)) return undefined;
  return 'must be an address range such as 10.0.0.0/8 or fd00::/8';
}

/** ipaddr.js reads `127.1` and octal forms too, which every tool reads differently. */
function isWhole(value: string): boolean {
  return value.includes(':') || ipaddr.IPv4.isValidFourPartDecimal(value.split('/')[0]!);
}

/** `10.0.0.1` as `10.0.0.1/32`. */
export function toCidr(value: string): string {
  if (value.includes('/')) return value;
  return `${value}/${ipaddr.parse(value).kind() === 'ipv4' ? 32 : 128}`;
}

export function isLoopbackHost(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  return bare === 'localhost' || (ipaddr.isValid(bare) && ipaddr.process(bare).range() === 'loopback');
}

/** Names of providers become labels, headers and parts of ids. */
export function providerNameProblem(name: string): Problem {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name) ? undefined : 'a name has 1 to 64 letters, digits, `.`, `_` and `-`';
}

const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

/** A public model name; `*` only as its last character. */
export function modelNameProblem(name: string): Problem {
  if (!VISIBLE_ASCII.test(name) || name.length > 256) return 'must be 1 to 256 visible ASCII characters without blanks';
  if (name.startsWith('a2a/')) return 'names that begin with a2a/ are reserved for agents';
  return wildcardProblem(name);
}

/** A grant of models: a name, `prefix*` or `*`. */
export function grantProblem(grant: string): Problem {
  return VISIBLE_ASCII.test(grant) ? wildcardProblem(grant) : 'must be a model name, a prefix with `*`, or `*`';
}

/** A grant of agents. */
export function agentGrantProblem(grant: string): Problem {
  if (grant === '*') return undefined;
  const problem = grant.startsWith('tag:') ? tagProblem(grant.slice(4)) : agentNameProblem(grant);
  return problem === undefined ? undefined : 'must be the name of an agent, `tag:` and a tag, or `*`';
}

function wildcardProblem(name: string): Problem {
  return /\*./.test(name) ? '`*` may stand only at the end' : undefined;
}

/** The name sent upstream: `*` alone (the rest of the asked name), or a name without `*`. */
export function upstreamModelProblem(name: string): Problem {
  return name === '*' || !name.includes('*') ? undefined : '`*` must stand alone: it means the rest of the asked name';
}

/** Ours to set, or the connection's. */
const OWN_HEADERS = new Set([
  'host',
  'content-length',
  'content-type',
  'content-encoding',
  'transfer-encoding',
  'connection',
  'expect',
]);
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export function headerNameProblem(name: string): Problem {
  if (!TOKEN.test(name)) return 'is not a header name';
  return OWN_HEADERS.has(name.toLowerCase()) ? 'this header is set by Signalbox' : undefined;
}

export function headerValueProblem(value: string): Problem {
  return /^[\x20-\x7e\t]*$/.test(value) ? undefined : 'must hold visible ASCII characters only';
}

/** A date (midnight UTC) or a date and time with its zone; anything else reads differently on different machines. */
export function dateProblem(value: string): Problem {
  const isDate = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(value);
  return isDate && !Number.isNaN(Date.parse(value)) ? undefined : 'must be a date such as 2027-01-31 or 2027-01-31T12:00:00Z';
}

/** As the machine's own time zone data knows it. */
export function timeZoneProblem(value: string): Problem {
  try {
    new Intl.DateTimeFormat('en', { timeZone: value }).format(0);
    return undefined;
  } catch {
    return 'must be a time zone such as UTC or Europe/Berlin';
  }
}

/** Names of tags become labels and parts of scopes. */
export function tagProblem(value: string): Problem {
  return /^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$/.test(value)
    ? undefined
    : 'a tag has 1 to 64 letters, digits, `.`, `_`, `/` and `-`';
}

export function pathProblem(value: string): Problem {
  return /^\/[!-~]*$/.test(value) ? undefined : 'must begin with `/` and hold no blanks';
}

export function regionProblem(value: string): Problem {
  return /^[a-z0-9][a-z0-9-]{0,31}$/.test(value) ? undefined : 'a region has 1 to 32 lower case letters, digits and `-`';
}

/** Ids of what stands in the store: `team_…`, `usr_…`. */
export function idProblem(prefix: 'team' | 'usr' | 'svc' | 'org'): (value: string) => Problem {
  const pattern = new RegExp(`^${prefix}_[0-9a-z]{8,32}$`);
  return (value) => (pattern.test(value) ? undefined : `must be an id such as ${prefix}_…`);
}

/** Names of keys become labels and log lines. */
export function keyNameProblem(name: string): Problem {
  return name.length > 128 || /\p{Cc}/u.test(name)
    ? 'must have at most 128 characters, none of them a control character'
    : undefined;
}

const PLACEHOLDER =
  /^sk-?1234|change-?_?me|change-?_?this|replace-?_?me|your-?_?(api-?_?)?(key|secret|token)|placeholder|^(password|secret)+$/i;
const MIN_KEY_LENGTH = 16;

/** Keys that clients or admins present. */
export function keyProblem(key: string): Problem {
  if (key.length < MIN_KEY_LENGTH || !VISIBLE_ASCII.test(key)) {
    return `must have at least ${MIN_KEY_LENGTH} visible ASCII characters and no blanks`;
  }
  const isMonotonous = new Set(key).size < 5;
  return PLACEHOLDER.test(key) || isMonotonous ? 'is a placeholder, not a secret' : undefined;
}

/** Keys that we present to a provider; the provider judges their strength. */
export function credentialProblem(credential: string): Problem {
  return VISIBLE_ASCII.test(credential) ? undefined : 'must hold visible ASCII characters only, without blanks or line breaks';
}

/** What we sign our own calls with. */
export function webhookSecretProblem(secret: string): Problem {
  if (webhookKey(secret) === undefined) return 'must have at least 16 bytes; behind `whsec_` stands base64';
  return PLACEHOLDER.test(secret) ? 'is a placeholder, not a secret' : undefined;
}

/** A type of events, or all that begin so. */
export function eventTypeProblem(type: string): Problem {
  const isKnown = EVENT_TYPES.some((each) => (type.endsWith('*') ? each.startsWith(type.slice(0, -1)) : each === type));
  return isKnown ? undefined : `must be a type of events (${EVENT_TYPES.join(', ')}), or a prefix with \`*\``;
}

/** A domain of e-mail addresses. */
export function domainProblem(domain: string): Problem {
  const label = '[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
  return new RegExp(`^(${label}\\.)+${label}$`).test(domain) ? undefined : 'must be a domain such as example.com';
}
