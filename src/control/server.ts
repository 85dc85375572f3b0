/** The control plane's listener: a Unix socket in the data directory, reachable by this process's user only. */
import { chmodSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Hono } from 'hono';

import { createServer } from '../lib/node-http.ts';

export interface ControlServerOptions {
  socketPath: string;
  /** Made at the first request that needs it: 20 MB that a gateway nobody manages does not pay. */
  app: () => Promise<Hono>;
  onFailure: (error: unknown) => void;
  /** First look at every request; true: it was answered. */
  extra: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** Only workers connect, and what a key may call comes in a header: 1,000 grants of 256 characters for each of those it stands under. */
const MAX_HEADER_BYTES = 4 * 1024 * 1024;

/** Resolves when it accepts; `close` cuts what is open. Rejects with the system's error. */
export function serveControl(options: ControlServerOptions): Promise<{ close: () => Promise<void> }> {
  const { socketPath, extra } = options;
  const listener = lazyListener(options.app);
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (request, response) => {
    if (extra(request, response)) return;
    listener()
      .then((answer) => answer(request, response))
      .catch((error: unknown) => {
        options.onFailure(error);
        response.destroy();
      });
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

type Listener = (request: IncomingMessage, response: ServerResponse) => unknown;

function lazyListener(app: () => Promise<Hono>): () => Promise<Listener> {
  let made: Promise<Listener> | undefined;
  return () => {
    made ??= Promise.all([import('@hono/node-server'), app()]).then(([{ getRequestListener }, { fetch }]) =>
      getRequestListener(fetch, { hostname: 'control', overrideGlobalObjects: false }),
    );
    return made;
  };
}
