/** Addresses and the ranges they lie in. */
import ipaddr from 'ipaddr.js';

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number];

/** Whether an address lies in one of the ranges; what is no address lies in none. Throws where a range is no CIDR; one address counts as a range of one. */
export function inRanges(ranges: readonly string[]): (address: string) => boolean {
  const parsed = ranges.map(parseRange);
  return (text) => {
    if (!ipaddr.isValid(text)) return false;
    const address = ipaddr.process(text);
    return parsed.some(([network, bits]) => network.kind() === address.kind() && address.match([network, bits] as never));
  };
}

function parseRange(text: string): Range {
  const [address, bits] = ipaddr.parseCIDR(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`);
  return [address, bits];
}
