import type { ServerResponse } from 'node:http';

import type { EdgeRequest, Route } from '../http/edge.ts';
import { sendJson } from '../http/reply.ts';

/** What the health routes tell. `ready` turns false when draining begins or facts cannot be written. */
export interface Readiness {
  ready: () => boolean;
  snapshotHash: () => string | undefined;
  version: string;
}

/** `HEAD /` is what Claude Code asks first; it must be cheap and need no key. */
export function healthRoutes(readiness: Readiness): Route[] {
  const policy = { access: 'public', body: 'none', errors: 'plain' } as const;
  return [
    {
      method: 'GET',
      path: '/',
      policy,
      handle: (_request, response) => sendJson(response, 200, {}, { name: 'signalbox', version: readiness.version }),
    },
    {
      method: 'GET',
      path: '/health/live',
      policy,
      handle: (_request, response) => sendJson(response, 200, {}, { status: 'live' }),
    },
    { method: 'GET', path: '/health/ready', policy, handle: (request, response) => answerReady(readiness, request, response) },
  ];
}

function answerReady(readiness: Readiness, _request: EdgeRequest, response: ServerResponse): void {
  const ready = readiness.ready();
  sendJson(
    response,
    ready ? 200 : 503,
    {},
    { status: ready ? 'ready' : 'not ready', snapshot: readiness.snapshotHash() ?? null },
  );
}
