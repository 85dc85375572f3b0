/** The `Host` header: its form, and on a loopback-bound server its value. Routing never reads it. */
import ipaddr from 'ipaddr.js';

import { GatewayError } from '../core/errors.ts';

/** A name, an IPv4 address or a bracketed IPv6 address, then a port. Underscores are there for compose service names. */
const HOST = /^(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9][A-Za-z0-9._-]{0,252})(?::(\d{1,5}))?$/;

/** The lower-case host without port and trailing dot; undefined where the value is no `Host`. */
export function parseHost(value: string): string | undefined {
  const [, host, port] = HOST.exec(value) ?? [];
  if (host === undefined || Number(port ?? 0) > 65_535) return undefined;
  if (host.startsWith('[') && !ipaddr.IPv6.isValid(host.slice(1, -1))) return undefined;
  return host.toLowerCase().replace(/\.$/, '');
}

/** `localhost`, a name under it, 127.0.0.0/8 or `[::1]`; brackets optional. */
export function isLoopbackHost(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  const address = host.startsWith('[') ? host.slice(1, -1) : host;
  if (!ipaddr.IPv4.isValidFourPartDecimal(address) && !ipaddr.IPv6.isValid(address)) return false;
  return ipaddr.process(address).range() === 'loopback';
}

/** Answers bad_host, or nothing. */
export type HostCheck = (value: string | undefined, httpVersion: string) => GatewayError | undefined;

/**
 * A check of `Host` for one server. A page in the operator's browser can make any name resolve to 127.0.0.1 (DNS rebinding) and is then
 * same-origin with us; only the name betrays it. So a server bound to loopback answers to loopback names and to `publicUrl`'s host,
 * and one bound to the network, whose names we cannot know, only checks the form.
 *
 * The last good value is remembered: a client sends the same one each time.
 */
export function createHostCheck(options: { loopbackOnly: boolean; publicUrl: string | undefined }): HostCheck {
  const publicHost = options.publicUrl === undefined ? undefined : new URL(options.publicUrl).hostname;
  let lastGood: string | undefined;
  return (value, httpVersion) => {
    if (value === lastGood && value !== undefined) return undefined;
    if (value === undefined) return httpVersion === '1.0' ? undefined : new GatewayError('bad_host');
    const host = parseHost(value);
    if (host === undefined) return new GatewayError('bad_host');
    if (options.loopbackOnly && host !== publicHost && !isLoopbackHost(host)) return strangerHost(host);
    lastGood = value;
    return undefined;
  };
}

function strangerHost(host: string): GatewayError {
  const message = `This server listens on a loopback address and answers to localhost, 127.0.0.1, [::1] and the host of server.public_url, not to '${host}'`;
  return new GatewayError('bad_host', { details: { message } });
}
