import type { LookupAddress, LookupOptions } from 'node:dns';
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls';

import { GatewayError } from '../core/errors.ts';
import { openTunnel, type Proxy } from './proxy.ts';

/** `dns.lookup`, or what a test puts in its place. */
export type Lookup = (
  hostname: string,
  options: LookupOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[] | string, family?: number) => void,
) => void;

/** Where the sockets of one pool go, and by which way. */
export interface Place {
  hostname: string;
  port: number;
  secure: boolean;
  socketPath: string | undefined;
  proxy: Proxy | undefined;
  /** Present: only these addresses may be connected to. */
  allows: ((address: string) => boolean) | undefined;
  lookup: Lookup;
  /** Authorities and client certificate of the origin; asked for only where TLS is spoken. */
  context: () => SecureContext;
  /** Authorities alone, for a proxy that speaks TLS. */
  proxyContext: () => SecureContext;
  /** The last TLS session of the place, offered to its next socket. */
  session: Buffer | undefined;
}

/** A connection on its way. `cancel` makes it fail now. */
export interface Opening {
  cancel(error: Error): void;
}

export type Opened = (error: Error | null, socket: Socket | null) => void;

/** One family at a time, a second each: Node's 250 ms give up on healthy but distant servers. */
const FAMILY_ATTEMPT_MS = 1_000;
const KEEP_ALIVE_PROBE_MS = 60_000;

/** Opens a socket ready for HTTP/1.1. `opened` is called once, never synchronously for a failure of the network. */
export function openSocket(place: Place, opened: Opened): Opening {
  let current: Socket | undefined;
  let settled = false;
  const settle: Opened = (error, socket) => {
    if (settled) return;
    settled = true;
    if (error !== null) current?.destroy();
    opened(error, socket);
  };
  const hold = (socket: Socket): Socket => {
    current = socket;
    if (settled) socket.destroy();
    return socket.on('error', (error) => settle(error, null));
  };
  const secure = (socket: Socket): void => {
    if (place.secure) hold(startTls(place, { socket })).once('secureConnect', () => settle(null, current ?? null));
    else settle(null, socket);
  };
  if (place.proxy === undefined) openDirect(place, hold, settle);
  else openProxied(place, place.proxy, { hold, settle, secure });
  return { cancel: (error) => settle(error, null) };
}

type Hold = (socket: Socket) => Socket;

function openDirect(place: Place, hold: Hold, settle: Opened): void {
  const { hostname: host, port, socketPath, allows } = place;
  if (socketPath !== undefined) {
    const local = hold(connectTcp({ path: socketPath }));
    local.once('connect', () => settle(null, local));
    return;
  }
  if (isIP(host) !== 0 && allows?.(host) === false) return queueMicrotask(() => settle(refusal(), null));
  const way = { host, port, ...familyOptions(), lookup: guardLookup(place) };
  const socket = hold(place.secure ? startTls(place, way) : connectTcp({ ...way, noDelay: true }));
  socket.setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
  // Looked at again once connected: the resolver's word and the kernel's are checked, not assumed, to be the same.
  socket.once('connect', () => {
    socket.setNoDelay(true);
    if (allows !== undefined && !allows(socket.remoteAddress ?? '')) settle(refusal(), null);
  });
  socket.once(place.secure ? 'secureConnect' : 'connect', () => settle(null, socket));
}

interface ProxySteps {
  hold: Hold;
  settle: Opened;
  secure: (socket: Socket) => void;
}

/** The tunnel of a guarded place is asked for by checked address: a proxy that resolved the name itself could be led elsewhere. */
function openProxied(place: Place, proxy: Proxy, steps: ProxySteps): void {
  const start = (target: string): void => {
    const way = { host: proxy.hostname, port: proxy.port, ...familyOptions(), lookup: place.lookup };
    const socket = steps.hold(
      proxy.secure
        ? connectTls({ ...way, ...nameOf(proxy.hostname), secureContext: place.proxyContext(), rejectUnauthorized: true })
        : connectTcp(way),
    );
    socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
    socket.once(proxy.secure ? 'secureConnect' : 'connect', () => {
      const authority = `${target.includes(':') ? `[${target}]` : target}:${place.port}`;
      openTunnel(socket, authority, proxy, (error) => (error === undefined ? steps.secure(socket) : steps.settle(error, null)));
    });
  };
  const { allows, hostname } = place;
  if (allows === undefined) return start(hostname);
  if (isIP(hostname) !== 0) return allows(hostname) ? start(hostname) : queueMicrotask(() => steps.settle(refusal(), null));
  guardLookup(place)(hostname, { all: true }, (error, addresses) => {
    const first = Array.isArray(addresses) ? addresses[0]?.address : undefined;
    if (error !== null || first === undefined) steps.settle(error ?? refusal(), null);
    else start(first);
  });
}

function startTls(place: Place, way: object): TLSSocket {
  const socket = connectTls({
    ...way,
    ...nameOf(place.hostname),
    secureContext: place.context(),
    ...(place.session === undefined ? {} : { session: place.session }),
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: true,
  });
  return socket.on('session', (session: Buffer) => {
    place.session = session;
  });
}

/** SNI carries names only (RFC 6066 §3); the certificate of an address is checked against the address. */
function nameOf(hostname: string): { servername: string } | { host: string } {
  return isIP(hostname) === 0 ? { servername: hostname } : { host: hostname };
}

function familyOptions(): { autoSelectFamily: true; autoSelectFamilyAttemptTimeout: number } {
  return { autoSelectFamily: true, autoSelectFamilyAttemptTimeout: FAMILY_ATTEMPT_MS };
}

/** Every address of the name must be allowed, not just the first: a mixed answer is an attack or a mistake. */
function guardLookup(place: Place): LookupFunction {
  const { allows, lookup } = place;
  if (allows === undefined) return lookup;
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      const addresses = Array.isArray(found) ? found : [];
      if (error !== null) callback(error, []);
      else if (addresses.length === 0 || !addresses.every((each) => allows(each.address))) callback(refusal(), []);
      else if (options.all === true) callback(null, addresses);
      else callback(null, addresses[0]?.address ?? '', addresses[0]?.family);
    });
  };
}

/** The same words whatever was refused and why: an answer that tells them apart maps the inner network. */
export function refusal(): GatewayError {
  return new GatewayError('egress_refused');
}
