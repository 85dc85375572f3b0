import ipaddr from 'ipaddr.js';

type Network = ReturnType<typeof ipaddr.parseCIDR>;

/** Azure's wire server: a public-looking address that answers every virtual machine with its secrets. */
const AZURE_WIRE = '168.63.129.16';
/** IANA gives out global unicast from here only; ipaddr.js calls much outside of it (`::7f00:1`) unicast as well. */
const GLOBAL_UNICAST: Network = ipaddr.parseCIDR('2000::/3');

/**
 * The rule for addresses that came from outside the operator's file: global unicast only, or inside one of `allowPrivate` (CIDR).
 * Takes an IP literal as the resolver or a socket gives it; an IPv4-mapped one counts as the IPv4 address it is. Anything else is refused.
 */
export function createAddressRule(allowPrivate: readonly string[]): (address: string) => boolean {
  const allowed = allowPrivate.map((range) => ipaddr.parseCIDR(range));
  return (address) => {
    if (!ipaddr.isValid(address)) return false;
    const parsed = ipaddr.process(address);
    return inAny(parsed, allowed) || isPublic(parsed);
  };
}

/** Whether `address` (an IP literal) lies in one of the networks, given as CIDR. */
export function createNetworkMatch(networks: readonly string[]): (address: string) => boolean {
  const parsed = networks.map((network) => ipaddr.parseCIDR(network));
  return (address) => ipaddr.isValid(address) && inAny(ipaddr.process(address), parsed);
}

/** Whether a text is a network in CIDR notation. */
export function isNetwork(text: string): boolean {
  return ipaddr.isValidCIDR(text);
}

function isPublic(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (address.range() !== 'unicast') return false;
  return address.kind() === 'ipv4' ? address.toString() !== AZURE_WIRE : address.match(GLOBAL_UNICAST);
}

function inAny(address: ipaddr.IPv4 | ipaddr.IPv6, networks: readonly Network[]): boolean {
  return networks.some((network) => network[0].kind() === address.kind() && address.match(network));
}
