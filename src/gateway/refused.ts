import type { ExchangeFact } from '../core/exchange.ts';
import type { Refusal } from '../http/edge.ts';
import type { Plane } from './plane.ts';

/** Surfaces are named by their own facts; what never reached one is the edge's. */
const EDGE = 'edge';

/** The fact of a request that the edge turned away before any route saw it: malformed, too large, wrong path. */
export function refusedFact(plane: Plane, { requestId, error }: Refusal): ExchangeFact {
  const atMs = plane.nowMs();
  return {
    kind: 'exchange',
    id: plane.exchangeId(atMs),
    requestId,
    worker: plane.worker,
    atMs,
    surface: EDGE,
    stream: false,
    status: error.status,
    outcome: 'refused',
    error: error.code,
    errorMessage: error.message.slice(0, 500),
    attempts: [],
    warnings: [],
    requestBytes: 0,
    responseBytes: 0,
    totalMs: 0,
    overheadMs: 0,
  };
}
