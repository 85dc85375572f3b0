import { lookup as dnsLookup } from 'node:dns';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';

import { GatewayError } from '../core/errors.ts';
import { createAddressRule } from './address.ts';
import { type Lookup, type Place, refusal } from './connect.ts';
import { OriginPool } from './pool.ts';
import { parseProxy } from './proxy.ts';
import type { Trust } from './types.ts';
import type { Wheel } from './wheel.ts';

/** The operator's rules for the way out; config/snapshot.ts fills them. */
export interface EgressRules {
  /** CIDR ranges that addresses from outside the operator's file may reach although private. */
  allowPrivate: readonly string[];
  proxy?: { url: string; noProxy: readonly string[] };
  /** PEM text of authorities beside the system's. */
  ca?: string;
  /** PEM text, by origin. */
  clientCertificates: readonly { origin: string; cert: string; key: string }[];
}

export interface EgressOptions {
  wheel: Wheel;
  /** `signalbox/1.2.3` */
  userAgent: string;
  lookup?: Lookup;
  /** Per origin and worker. A stream holds its connection for as long as it lasts. */
  connections?: number;
  keepAliveMs?: number;
}

/** Where the requests to one base URL go. */
export interface Route {
  pool: OriginPool;
  /** The base URL's path without a trailing slash, and its query without the mark. */
  prefix: string;
  query: string;
}

/** The only way out of the process. */
export interface Egress {
  readonly wheel: Wheel;
  readonly userAgent: string;
  /** Throws GatewayError('egress_refused') for addresses that cannot be allowed: userinfo, other schemes, guarded Unix sockets. */
  route(baseUrl: string, trust: Trust, socketPath?: string): Route;
  /** Takes nothing new; answers under way end by themselves. */
  close(): void;
}

const CONNECTIONS = 1_024;
const KEEP_ALIVE_MS = 30_000;
/** Each origin costs sockets and memory; beyond this the longest unused one goes. */
const MAX_ORIGINS = 512;
const IDLE_POOL_MS = 600_000;
const IDLE_LANE_MS = 60_000;
const SWEEP_MS = 30_000;

export function createEgress(rules: EgressRules, options: EgressOptions): Egress {
  const { wheel } = options;
  const pools = new Map<string, OriginPool>();
  const places = createPlaces(rules, options.lookup ?? dnsLookup);
  const limits = { connections: options.connections ?? CONNECTIONS, keepAliveMs: options.keepAliveMs ?? KEEP_ALIVE_MS };
  const sweep = setInterval(() => {
    const nowMs = wheel.now();
    for (const [key, pool] of pools) {
      pool.trim(nowMs - IDLE_LANE_MS);
      if (pool.idle && pool.lastUsedMs < nowMs - IDLE_POOL_MS) drop(pools, key);
    }
  }, SWEEP_MS).unref();
  let closed = false;

  const poolOf = (url: URL, trust: Trust, socketPath: string | undefined): OriginPool => {
    // The trust is part of the key: a guarded request never rides on a socket that was opened unguarded.
    const key = `${trust} ${url.origin} ${socketPath ?? ''}`;
    const known = pools.get(key);
    if (known !== undefined && !known.closed) return known;
    if (pools.size >= MAX_ORIGINS) dropOldest(pools);
    const pool = new OriginPool(url.origin, places(url, trust, socketPath), limits);
    pool.lastUsedMs = wheel.now();
    pools.set(key, pool);
    return pool;
  };

  return {
    wheel,
    userAgent: options.userAgent,
    route(baseUrl, trust, socketPath) {
      if (closed) throw new GatewayError('draining');
      const url = parseBase(baseUrl);
      if (trust === 'outside' && socketPath !== undefined) throw refusal();
      return {
        pool: poolOf(url, trust, socketPath),
        prefix: url.pathname.replace(/\/+$/, ''),
        query: url.search.slice(1),
      };
    },
    close() {
      closed = true;
      clearInterval(sweep);
      for (const pool of pools.values()) pool.close();
    },
  };
}

function parseBase(baseUrl: string): URL {
  const url = URL.parse(baseUrl);
  const web = url?.protocol === 'https:' || url?.protocol === 'http:';
  if (url === null || !web || url.username !== '' || url.password !== '') throw refusal();
  return url;
}

type Places = (url: URL, trust: Trust, socketPath: string | undefined) => Place;

/** Certificates are parsed once, not per socket: the system's store has over a hundred. */
function createPlaces(rules: EgressRules, lookup: Lookup): Places {
  const proxy = rules.proxy === undefined ? undefined : parseProxy(rules.proxy);
  const allows = createAddressRule(rules.allowPrivate);
  const certificates = new Map(rules.clientCertificates.map((each) => [new URL(each.origin).origin, each]));
  const ca = rules.ca === undefined ? {} : { ca: [...getCACertificates('default'), rules.ca] };
  const plain = once(() => createSecureContext(ca));
  return (url, trust, socketPath) => {
    const hostname = url.hostname.replace(/^\[|\]$/g, '');
    const secure = url.protocol === 'https:';
    const own = certificates.get(url.origin);
    return {
      hostname,
      port: Number(url.port) || (secure ? 443 : 80),
      secure,
      socketPath,
      proxy: socketPath !== undefined || proxy?.bypasses(hostname) === true ? undefined : proxy,
      allows: trust === 'outside' ? allows : undefined,
      lookup,
      context: own === undefined ? plain : once(() => createSecureContext({ ...ca, cert: own.cert, key: own.key })),
      proxyContext: plain,
      session: undefined,
    };
  };
}

function once(make: () => SecureContext): () => SecureContext {
  let made: SecureContext | undefined;
  return () => (made ??= make());
}

function drop(pools: Map<string, OriginPool>, key: string): void {
  pools.get(key)?.close();
  pools.delete(key);
}

function dropOldest(pools: Map<string, OriginPool>): void {
  let oldest: { key: string; lastUsedMs: number } | undefined;
  for (const [key, pool] of pools) {
    if (pool.idle && pool.lastUsedMs < (oldest?.lastUsedMs ?? Infinity)) oldest = { key, lastUsedMs: pool.lastUsedMs };
  }
  if (oldest === undefined) throw new GatewayError('overloaded');
  drop(pools, oldest.key);
}
