/** The control plane's routes, fed from this process. */
import { timingSafeEqual } from 'node:crypto';
import type { Hono } from 'hono';

import type { Snapshot } from '../config/snapshot.ts';
import { keyDigest } from '../core/key-digest.ts';
import type { Control, WorkerStatus } from './messages.ts';
import { errorText } from './start-error.ts';

export interface ControlAppParts {
  control: Control;
  version: string;
  configPath: string | undefined;
  /** The snapshot in force. */
  snapshot: () => Snapshot;
  workers: () => WorkerStatus[];
  /** Milliseconds since the start. */
  uptimeMs: () => number;
}

export async function controlAppOf(parts: ControlAppParts): Promise<Hono> {
  const { createControlApp } = await import('../control/app.ts');
  return createControlApp({
    isAdminKey: (key) => isAdminKey(parts.snapshot(), key),
    status: () => ({
      version: parts.version,
      uptime_s: Math.floor(parts.uptimeMs() / 1000),
      config_file: parts.configPath ?? null,
      snapshot_hash: parts.snapshot().hash,
      snapshot_version: parts.snapshot().version,
      workers: parts.workers().map((worker) => ({
        worker: worker.worker,
        generation: worker.generation,
        serving: worker.serving,
        inflight: worker.inflight,
        inflight_bytes: worker.inflightBytes,
        loop_delay_p99_ms: worker.loopDelayP99Ms,
        heartbeat_age_ms: worker.heartbeatAgeMs,
      })),
    }),
    metricsText: parts.control.metricsText,
    onFailure: (error) => parts.control.log('error', { error: errorText(error) }, 'the control plane failed to answer'),
  });
}

function isAdminKey({ pepper, adminKeyDigest }: Snapshot, key: string): boolean {
  const presented = Buffer.from(keyDigest(pepper, key));
  const expected = Buffer.from(adminKeyDigest);
  return presented.length === expected.length && timingSafeEqual(presented, expected);
}
