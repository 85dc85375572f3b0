/** The control plane's listener: a Unix socket in the data directory, reachable by this process's user only. */
import { getRequestListener } from '@hono/node-server';
import { chmodSync } from 'node:fs';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { Hono } from 'hono';

export interface ControlServerOptions {
  socketPath: string;
  app: Hono;
  /** First look at every request; true: it was answered. */
  extra: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** Resolves when it accepts; `close` cuts what is open. Rejects with the system's error. */
export function serveControl({ socketPath, app, extra }: ControlServerOptions): Promise<{ close: () => Promise<void> }> {
  const answer = getRequestListener(app.fetch, { hostname: 'control', overrideGlobalObjects: false });
  const server = createServer((request, response) => {
    if (!extra(request, response)) void answer(request, response);
  });
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, () => {
      chmodSync(socketPath, 0o600);
      resolve({ close });
    });
  });
}
