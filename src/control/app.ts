/** The routes of the control plane. Workers relay `/admin` and `/metrics` here; nobody else reaches it. */
import { Hono } from 'hono';

import { ERRORS, type ErrorCode, GatewayError } from '../core/errors.ts';
import { openAiErrorBody } from '../core/openai-error.ts';

export interface ControlStatus {
  version: string;
  uptime_s: number;
  config_file: string | null;
  snapshot_hash: string;
  snapshot_version: number;
  workers: {
    worker: number;
    generation: number;
    serving: boolean;
    inflight: number;
    inflight_bytes: number;
    loop_delay_p99_ms: number;
    heartbeat_age_ms: number;
  }[];
}

export interface ControlAppOptions {
  /** Compares in constant time. */
  isAdminKey: (key: string) => boolean;
  status: () => ControlStatus;
  /** Prometheus text. */
  metricsText: () => Promise<string>;
  onFailure: (error: unknown) => void;
}

/** Without the admin key everything under /admin is 401, paths that do not exist included: what exists is nobody's business. */
export function createControlApp({ isAdminKey, status, metricsText, onFailure }: ControlAppOptions): Hono {
  const app = new Hono();
  app.use(async (context, next) => {
    const refusal = refusalOf(context.req.header('authorization'), isAdminKey);
    if (refusal !== undefined && isGuarded(context.req.path)) return errorResponse(refusal);
    return next();
  });
  app.get('/metrics', async (context) => context.body(await metricsText(), 200, { 'content-type': METRICS_TYPE }));
  app.get('/admin/v1/status', (context) => context.json(status()));
  app.notFound(() => errorResponse('not_found'));
  app.onError((error) => {
    onFailure(error);
    return errorResponse('internal');
  });
  return app;
}

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

function isGuarded(path: string): boolean {
  return path === '/metrics' || path === '/admin' || path.startsWith('/admin/');
}

function refusalOf(authorization: string | undefined, isAdminKey: ControlAppOptions['isAdminKey']): ErrorCode | undefined {
  const key = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  if (key === undefined) return 'missing_key';
  return isAdminKey(key) ? undefined : 'invalid_key';
}

function errorResponse(code: ErrorCode): Response {
  const { status } = ERRORS[code];
  return Response.json(openAiErrorBody(new GatewayError(code)), {
    status,
    headers: status === 401 ? { 'www-authenticate': 'Bearer' } : {},
  });
}
