/** The client's address, seen through the proxies that the operator trusts. */
import ipaddr from 'ipaddr.js';

import { inRanges } from '../lib/cidr.ts';

export type ClientAddress = (remoteAddress: string, forwardedFor: string | undefined) => string;

/**
 * `X-Forwarded-For` is believed only as far as trusted proxies wrote it: from the right, past every address of a trusted range, to the
 * first that is not. What stands left of that is the client's own claim. An entry that is no address ends the walk too.
 * Throws where a range is no CIDR.
 */
export function createClientAddress(trustedProxies: readonly string[]): ClientAddress {
  const trusted = inRanges(trustedProxies);
  if (trustedProxies.length === 0) return (remoteAddress) => plain(remoteAddress);
  return (remoteAddress, forwardedFor) => walk(trusted, plain(remoteAddress), forwardedFor);
}

function walk(trusted: (address: string) => boolean, remoteAddress: string, forwardedFor: string | undefined): string {
  let client = remoteAddress;
  const hops = forwardedFor?.split(',') ?? [];
  while (trusted(client)) {
    const hop = parseHop(hops.pop());
    if (hop === undefined) break;
    client = hop;
  }
  return client;
}

/** Some proxies add the port: `192.0.2.1:443`, `[2001:db8::1]:443`. */
function parseHop(text: string | undefined): string | undefined {
  const [, bracketed, dotted, bare] =
    /^\s*(?:\[([0-9A-Fa-f:.]+)\](?::\d+)?|(\d+(?:\.\d+){3})(?::\d+)?|([0-9A-Fa-f:.]+))\s*$/.exec(text ?? '') ?? [];
  const address = bracketed ?? dotted ?? bare;
  if (address === undefined) return undefined;
  const valid = ipaddr.IPv4.isValidFourPartDecimal(address) || ipaddr.IPv6.isValid(address);
  return valid ? ipaddr.process(address).toString() : undefined;
}

/** A dual-stack socket reports IPv4 clients as `::ffff:192.0.2.1`. */
function plain(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}
