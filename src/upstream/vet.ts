/** Addresses that came over the API, looked at before they are taken; connecting looks again (connect.ts), since names change. */
import type { LookupAddress } from 'node:dns';
import { isIP } from 'node:net';

import { createAddressRule, createNetworkMatch } from './address.ts';
import type { Lookup } from './connect.ts';

/** Names that lead into one's own network by convention (RFC 6761, RFC 6762, RFC 8375) or by having no dot. */
const INNER_NAME = /(^|\.)(localhost|local|internal|lan|intranet|corp|home|home\.arpa)$|^[^.]+$/i;

/** One sentence for whatever is refused: an answer that tells them apart maps the inner network. */
const REFUSED = 'must be an https URL of a public address, or of one that `egress.allow_private` of the file covers';

/** What the URL alone tells. Answers the complaint. */
export function addressProblem(baseUrl: string, allowPrivate: readonly string[]): string | undefined {
  const url = URL.parse(baseUrl);
  if (url === null) return REFUSED;
  const host = hostOf(url);
  if (isIP(host) !== 0) return areAllowed(url, [host], allowPrivate) ? undefined : REFUSED;
  const needsPrivate = url.protocol !== 'https:' || INNER_NAME.test(host);
  return needsPrivate && allowPrivate.length === 0 ? REFUSED : undefined;
}

/** As addressProblem, with what the name resolves to now. A public name that does not resolve is taken: it may later. */
export async function resolvedProblem(
  baseUrl: string,
  allowPrivate: readonly string[],
  lookup: Lookup,
): Promise<string | undefined> {
  const url = URL.parse(baseUrl);
  const problem = addressProblem(baseUrl, allowPrivate);
  if (problem !== undefined || url === null || isIP(hostOf(url)) !== 0) return problem;
  const found = await addressesOf(hostOf(url), lookup);
  if (found.length === 0) return url.protocol !== 'https:' || INNER_NAME.test(hostOf(url)) ? REFUSED : undefined;
  return areAllowed(url, found, allowPrivate) ? undefined : REFUSED;
}

/** All of them: a mixed answer is an attack or a mistake. Without TLS, only within the operator's own networks. */
function areAllowed({ protocol }: URL, addresses: readonly string[], allowPrivate: readonly string[]): boolean {
  return addresses.every(protocol === 'https:' ? createAddressRule(allowPrivate) : createNetworkMatch(allowPrivate));
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '').replace(/\.+$/, '');
}

const LOOKUP_MS = 3_000;

function addressesOf(host: string, lookup: Lookup): Promise<string[]> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve([]), LOOKUP_MS).unref();
    lookup(host, { all: true }, (error, found) => {
      clearTimeout(timer);
      resolve(error === null && Array.isArray(found) ? found.map(({ address }: LookupAddress) => address) : []);
    });
  });
}

/**
 * The same for agents, which may be reached without TLS where that is not our own network: what the URL tells, and what its name resolves to now. Answers the seed's own
 * sentence.
 */
export async function agentAddressProblem(
  url: string,
  allowPrivate: readonly string[],
  lookup: Lookup,
): Promise<string | undefined> {
  const parsed = URL.parse(url);
  const host = parsed === null ? '' : hostOf(parsed);
  const refused = `Agent URL targets a private or reserved address '${host}', which is not allowed (SSRF protection); \`egress.allow_private\` of the file permits networks of your own`;
  const allows = createAddressRule(allowPrivate);
  if (isIP(host) !== 0) return allows(host) ? undefined : refused;
  if (host === '' || (INNER_NAME.test(host) && allowPrivate.length === 0)) return refused;
  const found = await addressesOf(host, lookup);
  return found.every(allows) ? undefined : refused;
}
