import { randomBytes } from 'node:crypto';
import { mkdtempSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Hono } from 'hono';
import { afterAll, beforeAll, expect, test } from 'vitest';

import type { Snapshot } from '../config/snapshot.ts';
import { keyDigest } from '../core/key-digest.ts';
import { openStore } from '../store/sql/open.ts';
import { createControlApp } from './app.ts';
import { auditKey } from './audit-chain.ts';
import { createAuditTrail } from './audit-trail.ts';
import type { Services } from './contract/ports.ts';
import { createPace } from './pace.ts';
import { createRouteTable } from './contract/table.ts';
import { identifyByBearer } from './identify.ts';
import { createAdminHandler } from './mount.ts';
import type { ControlStatus } from './routes/status.ts';
import { ADMIN_ROUTES } from './routes/table.ts';
import { serveControl } from './server.ts';

const socketPath = join(mkdtempSync(join(tmpdir(), 'control-')), 'control.sock');
const failures: unknown[] = [];
const status: ControlStatus = {
  version: '0.1.0',
  uptime_s: 5,
  config_file: null,
  snapshot_hash: '0123456789abcdef',
  snapshot_version: 1,
  workers: [
    { worker: 0, generation: 0, serving: true, inflight: 2, inflight_bytes: 0, loop_delay_p99_ms: 0.5, heartbeat_age_ms: 10 },
  ],
};
let metrics = (): Promise<string> => Promise.resolve('signalbox_up 1\n');
let server: { close: () => Promise<void> };

const PEPPER = '5a'.repeat(32);
const onFailure = (error: unknown): void => void failures.push(error);

async function controlApp(): Promise<Hono> {
  const store = await openStore(':memory:');
  const snapshot = (): Snapshot => ({ pepper: PEPPER, adminKeyDigest: keyDigest(PEPPER, 'the-admin-key') }) as Snapshot;
  const services = { store, snapshot, nowMs: Date.now, random: randomBytes, status: () => status, metricsText: () => metrics() };
  const admin = createAdminHandler({
    table: createRouteTable(ADMIN_ROUTES),
    services: services as Partial<Services> as Services,
    audit: createAuditTrail({ store: store.audit, key: auditKey(PEPPER), nowMs: Date.now, onCheckpoint: () => undefined }),
    pace: createPace(Date.now),
    identify: [identifyByBearer({ snapshot, entities: store.entities, nowMs: Date.now })],
    onFailure,
  });
  return createControlApp({ admin, onFailure });
}

beforeAll(async () => {
  server = await serveControl({
    socketPath,
    app: controlApp,
    onFailure,
    extra: (request, response) => {
      if (request.url !== '/demo/v1/models') return false;
      response.end('demo');
      return true;
    },
  });
});

afterAll(() => server.close());

function ask(
  path: string,
  authorization?: string,
  method = 'GET',
): Promise<{ status: number; headers: Record<string, unknown>; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = authorization === undefined ? {} : { authorization };
    const call = request({ socketPath, path, method, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    call.on('error', reject).end();
  });
}

test('the socket is its owner’s alone', () => {
  expect(statSync(socketPath).mode & 0o777).toBe(0o600);
});

test.each(['/admin', '/admin/', '/admin/v1/status', '/admin/v1/nothing', '/admin/%2e%2e/metrics', '/metrics'])(
  '%s is 401 without the admin key',
  async (path) => {
    for (const authorization of [undefined, 'Bearer wrong', 'Basic dGhlLWFkbWluLWtleQ==', 'the-admin-key', 'Bearer']) {
      for (const method of ['GET', 'POST', 'DELETE']) {
        const { status, headers, body } = await ask(path, authorization, method);
        expect({ path, authorization, method, status }).toEqual({ path, authorization, method, status: 401 });
        expect(headers['www-authenticate']).toBe('Bearer');
        expect(JSON.parse(body)).toMatchObject({ error: { code: 'invalid_api_key', param: null } });
      }
    }
  },
);

test('with the admin key: status and metrics, and 404 for what is not there', async () => {
  const admin = 'Bearer the-admin-key';
  expect(JSON.parse((await ask('/admin/v1/status', admin)).body)).toEqual(status);
  expect(await ask('/metrics', admin)).toMatchObject({
    status: 200,
    body: 'signalbox_up 1\n',
    headers: { 'content-type': expect.stringContaining('version=0.0.4') },
  });
  expect(await ask('/admin/v1/nothing', admin)).toMatchObject({ status: 404 });
});

test('console and docs do not exist yet, and say no more than that', async () => {
  for (const path of ['/console', '/docs', '/']) expect((await ask(path)).status).toBe(404);
});

test('what the composition root handles first never reaches the routes', async () => {
  expect(await ask('/demo/v1/models')).toMatchObject({ status: 200, body: 'demo' });
});

test('a failure inside is 500 in our words, and told to the log', async () => {
  metrics = () => Promise.reject(new Error('secret inside'));
  const answer = await ask('/metrics', 'Bearer the-admin-key');
  expect(answer.status).toBe(500);
  expect(answer.body).not.toContain('secret');
  expect(failures).toHaveLength(1);
});
