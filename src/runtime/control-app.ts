/** The control plane, fed from this process. Loaded at the first request that needs it: a gateway that nobody manages does not pay for it. */
import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns';
import type { Hono } from 'hono';

import type { AgentDesk } from '../agents/desk.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { createControlApp } from '../control/app.ts';
import { auditKey } from '../control/audit-chain.ts';
import { createAuditTrail } from '../control/audit-trail.ts';
import type { Services } from '../control/contract/ports.ts';
import { createPace } from '../control/pace.ts';
import { createRouteTable } from '../control/contract/table.ts';
import type { DirectoryService } from '../control/directory/directory.ts';
import { identifyByBearer, identifyByGrants } from '../control/identify.ts';
import { createAdminHandler } from '../control/mount.ts';
import { openApiDocument } from '../control/openapi.ts';
import type { PeopleDesk } from '../control/people/desk.ts';
import { identifyBySession } from '../control/people/identify.ts';
import { ADMIN_ROUTES } from '../control/routes/table.ts';
import { type Keyring, bodyBelonging } from '../lib/seal.ts';
import type { Store } from '../store/store.ts';
import { agentAddressProblem } from '../upstream/vet.ts';
import { publicUrl } from './listen.ts';
import { modelNamed } from './model-agents.ts';
import type { SlotBook } from './slots.ts';
import type { Control, WorkerStatus } from './messages.ts';
import { errorText } from './start-error.ts';

export interface ControlAppParts {
  agents: AgentDesk;
  slots: SlotBook;
  directory: DirectoryService;
  people: PeopleDesk;
  ring: Keyring;
  control: Control;
  store: Store;
  version: string;
  configPath: string | undefined;
  /** The snapshot in force. */
  snapshot: () => Snapshot;
  workers: () => WorkerStatus[];
  /** Milliseconds since the start. */
  uptimeMs: () => number;
}

const CHECKPOINT_MS = 3_600_000;

export function controlAppOf(parts: ControlAppParts): Hono {
  const { control, store, snapshot } = parts;
  const onFailure = (error: unknown): void => {
    control.log('error', { error: errorText(error) }, 'the control plane failed to answer');
  };
  const trail = createAuditTrail({
    store: store.audit,
    key: auditKey(snapshot().pepper),
    nowMs: Date.now,
    onCheckpoint: ({ seq, hash }) => control.log('info', { seq, hash }, 'audit log checkpoint'),
  });
  setInterval(() => trail.checkpoint(), CHECKPOINT_MS).unref();
  const admin = createAdminHandler({
    table: createRouteTable(ADMIN_ROUTES),
    services: servicesOf(parts),
    audit: trail,
    pace: createPace(Date.now),
    identify: [
      identifyByGrants,
      identifyByBearer({ snapshot, entities: store.entities, nowMs: Date.now }),
      identifyBySession({ ...parts.people, entities: store.entities }),
    ],
    onFailure,
  });
  return createControlApp({ admin, onFailure });
}

function servicesOf(parts: ControlAppParts): Services {
  let document: ReturnType<typeof openApiDocument> | undefined;
  const { control, store, directory, snapshot } = parts;
  return {
    agents: {
      service: parts.agents.service,
      ring: parts.ring,
      slotOf: parts.slots.slotOf,
      keepPlaces: parts.slots.keep,
      forgetPlaces: (scope) => parts.slots.forget(scope),
      addressProblem: (url) => agentAddressProblem(url, snapshot().egress.allowPrivate, lookup),
      hasModel: (name) => modelNamed(name, snapshot()) !== undefined,
      tasks: (filter) => parts.agents.tasks.list(filter),
      baseUrl: () => publicUrl(snapshot().server),
    },
    config: control.config,
    tryProvider: control.tryProvider,
    store,
    openBody: (whose, sealed) => parts.ring.open('body/v1', bodyBelonging(whose), sealed),
    directory,
    people: parts.people,
    snapshot,
    nowMs: Date.now,
    random: randomBytes,
    openApi: () => (document ??= openApiDocument(ADMIN_ROUTES, parts.version)),
    recentEvents: control.recentEvents,
    metricsText: control.metricsText,
    status: () => ({
      version: parts.version,
      uptime_s: Math.floor(parts.uptimeMs() / 1000),
      config_file: parts.configPath ?? null,
      snapshot_hash: snapshot().hash,
      snapshot_version: snapshot().version,
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
  };
}
