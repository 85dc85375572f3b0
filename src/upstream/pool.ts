import type { Dispatcher } from 'undici';
import Client from 'undici/lib/dispatcher/client.js';

import { type Opening, openSocket, type Place } from './connect.ts';

/** One connection's worth of an origin: an undici client that never has more than one request. */
export interface Lane {
  client: Client;
  /** The connection under way, if any. */
  opening: Opening | undefined;
  /** True until the socket has carried its first request. */
  fresh: boolean;
  idleSinceMs: number;
}

/** What a pool carries: an attempt, as undici's handler. */
export interface Job extends Dispatcher.DispatchHandler {
  readonly options: Dispatcher.DispatchOptions;
  /** The lane it was given; undefined while it waits for one. */
  lane: Lane | undefined;
  /** A socket for it is being opened: its connect deadline starts. */
  connecting(): void;
}

export interface PoolLimits {
  /** Connections to one origin; what comes on top waits its turn. */
  connections: number;
  /** How long an unused socket is kept, unless the server asks for less. */
  keepAliveMs: number;
}

/** The header block of an answer; more is refused as unreadable. */
const MAX_HEADER_BYTES = 32 * 1024;

/**
 * The connections to one place. Free lanes are taken from the top of a stack, so that few sockets stay warm and the rest age out.
 * undici's own Pool scans all clients at every dispatch, and neither tells whether a socket is new nor lets a waiting request go.
 */
export class OriginPool {
  lastUsedMs = 0;
  closed = false;
  private readonly free: Lane[] = [];
  private readonly waiting = new Set<Job>();
  private readonly lanes = new Map<Lane, Job | undefined>();
  private readonly origin: string;
  private readonly place: Place;
  private readonly limits: PoolLimits;

  constructor(origin: string, place: Place, limits: PoolLimits) {
    this.origin = origin;
    this.place = place;
    this.limits = limits;
  }

  get idle(): boolean {
    return this.waiting.size === 0 && this.free.length === this.lanes.size;
  }

  /** Sends a job, now or when a lane is free. */
  take(job: Job, nowMs: number): void {
    this.lastUsedMs = nowMs;
    const lane = this.free.pop() ?? (this.lanes.size < this.limits.connections ? this.addLane() : undefined);
    if (lane === undefined) this.waiting.add(job);
    else this.run(lane, job);
  }

  /** The job is over: its lane is the next one's. Deferred, because undici is still in the middle of ending it. */
  release(job: Job, nowMs: number): void {
    const { lane } = job;
    if (lane === undefined) {
      this.waiting.delete(job);
      return;
    }
    job.lane = undefined;
    lane.idleSinceMs = nowMs;
    this.lanes.set(lane, undefined);
    if (this.waiting.size === 0 && !this.closed) this.free.push(lane);
    else queueMicrotask(() => this.next(lane));
  }

  /** Drops lanes unused since `sinceMs`; their sockets are long closed, the objects are left of a busier time. */
  trim(sinceMs: number): void {
    while (this.free[0] !== undefined && this.free[0].idleSinceMs < sinceMs) this.drop(this.free.shift()!);
  }

  /** Takes no more; what is under way or waiting ends by itself. */
  close(): void {
    this.closed = true;
    for (const lane of this.free.splice(0)) this.drop(lane);
  }

  private next(lane: Lane): void {
    for (const job of this.waiting) {
      this.waiting.delete(job);
      this.run(lane, job);
      return;
    }
    if (this.closed) this.drop(lane);
    else this.free.push(lane);
  }

  private run(lane: Lane, job: Job): void {
    this.lanes.set(lane, job);
    job.lane = lane;
    lane.client.dispatch(job.options, job);
  }

  private drop(lane: Lane): void {
    this.lanes.delete(lane);
    void lane.client.close();
  }

  private addLane(): Lane {
    const lane: Omit<Lane, 'client'> & { client?: Client } = { opening: undefined, fresh: true, idleSinceMs: 0 };
    lane.client = new Client(this.origin, {
      connect: (_, callback) => {
        lane.fresh = true;
        this.lanes.get(lane as Lane)?.connecting();
        lane.opening = openSocket(this.place, (error, socket) => {
          lane.opening = undefined;
          if (error === null && socket !== null) callback(null, socket);
          else callback(error ?? new Error('no socket'), null);
        });
      },
      pipelining: 1,
      keepAliveTimeout: this.limits.keepAliveMs,
      keepAliveMaxTimeout: this.limits.keepAliveMs,
      maxHeaderSize: MAX_HEADER_BYTES,
      // Deadlines are the wheel's: undici's count neither a first byte nor a whole answer, and cost timers per request.
      headersTimeout: 0,
      bodyTimeout: 0,
      allowH2: false,
    });
    this.lanes.set(lane as Lane, undefined);
    return lane as Lane;
  }
}
