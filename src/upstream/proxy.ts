import { isIP, type Socket } from 'node:net';

import { createNetworkMatch, isNetwork } from './address.ts';

/** An HTTP proxy of the operator, through which every outside origin is reached by CONNECT. */
export interface Proxy {
  hostname: string;
  port: number;
  /** The way to the proxy itself is TLS. */
  secure: boolean;
  /** Value of `proxy-authorization`, from the URL's userinfo. Secret. */
  authorization: string | undefined;
  /** Whether a host is reached without the proxy. */
  bypasses: (hostname: string) => boolean;
}

/** The answer to CONNECT is a status line and a few headers; more is not a proxy. */
const MAX_ANSWER_BYTES = 16 * 1024;
const LOOPBACK = ['127.0.0.0/8', '::1/128'];

/** `url`: http or https, with credentials where the proxy wants them. Throws TypeError on anything else. */
export function parseProxy(settings: { url: string; noProxy: readonly string[] }): Proxy {
  const url = new URL(settings.url);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError('egress.proxy.url must be http or https');
  const secure = url.protocol === 'https:';
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return {
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port) || (secure ? 443 : 80),
    secure,
    authorization: credentials === ':' ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`,
    bypasses: createBypass(settings.noProxy),
  };
}

/**
 * Entries are host names (which cover their subdomains, with a leading dot or without), addresses, CIDR ranges, or `*`.
 * Loopback never goes through a proxy, whatever the list says, as in Go's ProxyFromEnvironment: there it would be the proxy's own loopback.
 */
function createBypass(entries: readonly string[]): (hostname: string) => boolean {
  if (entries.includes('*')) return () => true;
  const networks = entries.filter((entry) => isNetwork(entry));
  const addresses = entries.filter((entry) => isIP(entry) !== 0).map((entry) => `${entry}/${isIP(entry) === 4 ? 32 : 128}`);
  const names = entries.filter((entry) => !isNetwork(entry) && isIP(entry) === 0);
  const suffixes = ['.localhost', ...names.map((name) => `.${name.toLowerCase().replace(/^\.+/, '')}`)];
  const inNetwork = createNetworkMatch([...LOOPBACK, ...networks, ...addresses]);
  return (hostname) => {
    if (isIP(hostname) !== 0) return inNetwork(hostname);
    const name = `.${hostname.toLowerCase().replace(/\.$/, '')}`;
    return suffixes.some((suffix) => name.endsWith(suffix));
  };
}

/** Asks a proxy behind `socket` for a tunnel to `authority` (host:port). `done` is called once; the socket is the caller's to close. */
export function openTunnel(socket: Socket, authority: string, proxy: Proxy, done: (error: Error | undefined) => void): void {
  let answer = Buffer.alloc(0);
  const finish = (error: Error | undefined): void => {
    socket.off('data', onData).off('end', onEnd).off('close', onEnd);
    socket.pause();
    done(error);
  };
  const onEnd = (): void => finish(new Error('The proxy closed the connection'));
  const onData = (chunk: Buffer): void => {
    answer = Buffer.concat([answer, chunk]);
    const end = answer.indexOf('\r\n\r\n');
    if (end === -1 && answer.length <= MAX_ANSWER_BYTES) return;
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(answer.toString('latin1', 0, 16))?.[1];
    if (end === -1 || status?.[0] !== '2') return finish(new Error(`The proxy refused the tunnel (${status ?? 'no HTTP'})`));
    if (answer.length > end + 4) socket.unshift(answer.subarray(end + 4));
    finish(undefined);
  };
  socket.on('data', onData).on('end', onEnd).on('close', onEnd);
  const authorization = proxy.authorization === undefined ? '' : `Proxy-Authorization: ${proxy.authorization}\r\n`;
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${authorization}\r\n`);
}
