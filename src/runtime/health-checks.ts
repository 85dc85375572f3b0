/**
 * Asks providers how they are, where the operator wants that. A check can take targets out, never bring them back: that a list of models is answered does not prove that
 * chats are; the next request finds out.
 */
import type { Provider, Snapshot } from '../config/snapshot.ts';
import type { Raise } from '../core/fact.ts';
import type { BreakerRules } from '../core/routing.ts';
import type { Endpoint } from '../core/target.ts';
import { candidateId } from '../routing/candidate.ts';
import type { TargetStates } from '../routing/target-state.ts';
import type { Send } from '../upstream/send.ts';

export interface HealthCheckParts {
  /** Of a writer of its own in shared memory. */
  states: Pick<TargetStates, 'breaker' | 'claimProbe' | 'began' | 'ended'>;
  send: Send;
  raise: Raise;
  nowMs: () => number;
  /** [0, 1) */
  random: () => number;
}

export interface HealthChecks {
  /** From now on those of this snapshot. */
  use: (snapshot: Snapshot) => void;
  stop: () => void;
}

interface Check {
  provider: string;
  endpoint: Endpoint;
  settings: NonNullable<Provider['healthCheck']>;
  /** Of the targets there, with the rules of their models. */
  places: ReadonlyMap<number, BreakerRules>;
}

/** However many endpoints there are, so many are asked at once. */
const AT_ONCE = 16;
/** Each wait is up to a tenth longer or shorter, so that checks of one start spread. */
const JITTER = 0.1;

export function createHealthChecks(parts: HealthCheckParts): HealthChecks {
  const timers = new Set<NodeJS.Timeout>();
  let generation = 0;
  let underWay = 0;
  const later = (ms: number, run: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      run();
    }, ms).unref();
    timers.add(timer);
  };
  const round = async (check: Check, own: number): Promise<void> => {
    const { intervalMs } = check.settings;
    if (underWay >= AT_ONCE) return later(intervalMs * JITTER * parts.random(), () => void round(check, own));
    underWay += 1;
    try {
      note(parts, check, await resultOf(parts, check));
    } finally {
      underWay -= 1;
    }
    // One that was left out of the configuration while it ran is not repeated.
    if (own === generation) later(intervalMs * (1 + JITTER * (2 * parts.random() - 1)), () => void round(check, own));
  };
  const stop = (): void => {
    generation += 1;
    for (const timer of timers) clearTimeout(timer);
    timers.clear();
  };
  return {
    use: (snapshot) => {
      stop();
      for (const check of checksOf(snapshot)) {
        const own = generation;
        later(check.settings.intervalMs * parts.random(), () => void round(check, own));
      }
    },
    stop,
  };
}

/** One per endpoint of the providers that want it. */
export function checksOf({ providers, models, places }: Snapshot): Check[] {
  return Object.values(providers).flatMap(({ name, endpoints, healthCheck }) =>
    healthCheck === undefined
      ? []
      : endpoints.map((endpoint, at) => {
          const found = new Map<number, BreakerRules>();
          for (const { routing, targets } of models) {
            for (const { id, configuredId, provider } of targets) {
              const place = provider === name ? places?.targets[candidateId(configuredId ?? id, at)] : undefined;
              if (place !== undefined) found.set(place, stricter(routing.breaker, found.get(place)));
            }
          }
          return { provider: name, endpoint, settings: healthCheck, places: found };
        }),
  );
}

function stricter(one: BreakerRules, other: BreakerRules = one): BreakerRules {
  return one.failures < other.failures ? one : other;
}

type Result = 'well' | 'failing' | 'refused';

async function resultOf({ send }: HealthCheckParts, { endpoint, settings }: Check): Promise<Result> {
  const { timeoutMs, path } = settings;
  const timeouts = { connectMs: timeoutMs, firstByteMs: timeoutMs, idleMs: timeoutMs, totalMs: timeoutMs };
  const answer = await send({ endpoint, method: 'GET', path, headers: {}, body: undefined, timeouts, stream: false }).answer;
  if (answer.failed) return 'failing';
  answer.body.abort();
  if (answer.status === 401 || answer.status === 403) return 'refused';
  return answer.status >= 500 ? 'failing' : 'well';
}

function note({ states, raise, nowMs }: HealthCheckParts, { provider, places }: Check, result: Result): void {
  if (result === 'refused') raise('target.failing', `provider:${provider}`, { reason: 'credential' });
  if (result !== 'failing') return;
  for (const [place, rules] of places) {
    const atMs = nowMs();
    const phase = states.breaker(place, atMs);
    if (phase === 'open') continue;
    // One that is about to find out again is told that it need not.
    const probe = phase === 'probing' && states.claimProbe(place, atMs, rules);
    if (phase === 'probing' && !probe) continue;
    const change = states.ended(states.began(place, atMs), { outcome: 'fault', atMs, probe }, rules);
    if (change === 'opened') raise('target.failing', `provider:${provider}`, { reason: 'health_check' });
  }
}
