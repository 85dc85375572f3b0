/** Node's HTTP server with our limits: strict parsing, time to receive, header counts. */
import type { Server } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';

import { createServer } from '../lib/node-http.ts';
import type { EdgeSettings } from './edge.ts';
import { MAX_HEADERS } from './inbound.ts';

/** Finds clients that vanished without a word (cable, NAT) while a stream is silent. */
const TCP_KEEP_ALIVE_MS = 30_000;

const BACKSTOP_SLACK_MS = 2_000;
const MIN_TLS = 'TLSv1.2';

/** Throws where the certificate or its key cannot be read. */
export function createNodeServer(settings: EdgeSettings): Server {
  const strict = {
    ...timesOf(settings),
    maxHeaderSize: settings.maxHeaderBytes,
    insecureHTTPParser: false,
    // Our own answer to a missing Host is JSON, and knows HTTP/1.0.
    requireHostHeader: false,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
    connectionsCheckingInterval: Math.min(5_000, Math.max(50, settings.headersTimeoutMs / 4)),
  };
  const server =
    settings.tls === undefined
      ? createServer(strict)
      : createTlsServer({ ...strict, ...settings.tls, minVersion: MIN_TLS, handshakeTimeout: settings.headersTimeoutMs });
  server.maxHeadersCount = MAX_HEADERS;
  return server;
}

/** Takes over a reload. Node reads these properties anew for each connection; TLS itself cannot be switched on or off. */
export function applySettings(server: Server, settings: EdgeSettings, before: EdgeSettings): void {
  Object.assign(server, timesOf(settings), { maxHeaderSize: settings.maxHeaderBytes });
  const { tls } = settings;
  if (server instanceof TlsServer && tls !== undefined && (tls.cert !== before.tls?.cert || tls.key !== before.tls.key)) {
    server.setSecureContext({ ...tls, minVersion: MIN_TLS });
  }
}

function timesOf(settings: EdgeSettings) {
  return {
    headersTimeout: settings.headersTimeoutMs,
    // For bodies that nobody reads. Well behind the body reader, which looks once a second and knows the words of the route.
    requestTimeout: settings.headersTimeoutMs + settings.bodyTimeoutMs + BACKSTOP_SLACK_MS,
    keepAliveTimeout: settings.keepAliveTimeoutMs,
  };
}

/** Rejects as `net.Server` does: EADDRINUSE, EACCES, ENOTFOUND… */
export function bind(server: Server, at: { host: string; port: number; reusePort: boolean } | { path: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // Deep enough for a burst of new connections between two turns of a busy loop.
    server.listen({ ...at, backlog: 4096 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
