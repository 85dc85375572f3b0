/** The listener behind the control plane's socket. Workers relay `/admin`, `/metrics` and the console's paths here; nobody else reaches it. */
import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';

import { GatewayError } from '../core/errors.ts';
import { type AdminHandler, errorResponse } from './mount.ts';

export interface ControlAppOptions {
  admin: AdminHandler;
  onFailure: (error: unknown) => void;
}

/** Calls are routed by the request target as it came: the URL that the framework made of it has been normalised. */
export function createControlApp({ admin, onFailure }: ControlAppOptions): Hono {
  const app = new Hono();
  app.use(({ env }, next) => {
    const { incoming } = env as HttpBindings;
    const path = (incoming.url ?? '').replace(/\?.*$/s, '');
    return admin.takes(path) ? admin.answer(incoming) : next();
  });
  app.notFound(() => errorResponse(new GatewayError('not_found')));
  app.onError((error) => {
    onFailure(error);
    return errorResponse(new GatewayError('internal'));
  });
  return app;
}
