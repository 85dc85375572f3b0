import type { Kysely } from 'kysely';

import type { UsagePort } from '../ports/usage.ts';
import { readReport } from './report.ts';
import { readBodies, readRequest, readRequests } from './requests.ts';
import { retain } from './retention.ts';
import type { Tables } from './tables.ts';

export function createUsageStore(db: Kysely<Tables>): UsagePort {
  return {
    requests: (query) => readRequests(db, query),
    request: (id, within) => readRequest(db, id, within),
    bodies: (id) => readBodies(db, id),
    report: (query) => readReport(db, query),
    retain: (retention, nowMs) => retain(db, retention, nowMs),
  };
}
