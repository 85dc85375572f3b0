/** Which other model takes over: the operator's lists by cause, or the caller's own. Each is tried once, under its own limits and guards. */
import { GatewayError } from '../core/errors.ts';
import type { FallbackCause } from '../core/routing.ts';
import { spliceMembers } from '../lib/json-splice.ts';
import type { ResolvedModel } from '../routing/resolve.ts';
import { admitFallback } from './admit.ts';
import { type ClientBody, readClientBody } from './body.ts';
import type { Exchange } from './exchange.ts';
import { type Guard, guardBefore, guardsOf } from './guard.ts';

export interface Fallbacks {
  /** The client's body without the members that are for us. */
  body: ClientBody;
  /** Another model would take over from one that cannot be reached. */
  anyLeft: () => boolean;
  /** Why the present model failed. */
  failed: (cause: FallbackCause | undefined) => void;
  /** Moves the exchange to the next model; the body for it. Undefined: there is none. `refused` hears of those that their limits hold back. Throws what its guards say. */
  next: (refused: (error: GatewayError) => void) => Promise<ClientBody | undefined>;
}

/** An exchange goes through no more models than that. */
const MOST_FALLBACKS = 5;

/** Causes for which the general list serves where they have none: whatever the model, its provider's rules on content are the caller's to know. */
const FALLS_THROUGH: ReadonlySet<FallbackCause> = new Set(['general', 'rate_limit', 'context_window']);

interface Visited {
  resolved: ResolvedModel;
  cause?: FallbackCause | undefined;
}

/** Throws invalid_request where the caller's wishes cannot be read, model_not_found where he names what he may not use. */
export function beginFallbacks(exchange: Exchange, asked: ClientBody): Fallbacks {
  const wishes = wishesOf(exchange, asked);
  const visited: Visited[] = [{ resolved: exchange.resolved! }];
  const guarded = new Set<Guard>(guardsOf(exchange, 'request'));
  let { body } = wishes;
  const namesAfter = ({ resolved, cause = 'general' }: Visited): readonly string[] => {
    if (wishes.names !== undefined) return FALLS_THROUGH.has(cause) ? wishes.names : [];
    const { fallbacks } = resolved.model.routing;
    return fallbacks[cause] ?? (FALLS_THROUGH.has(cause) ? (fallbacks.general ?? []) : []);
  };
  /** The rest of the first model's list, then what the later ones would fall back to. */
  const nextName = (): string | undefined => {
    if (visited.length > MOST_FALLBACKS) return undefined;
    for (const each of visited) {
      for (const name of namesAfter(each)) if (!visited.some(({ resolved }) => isNamed(resolved, name))) return name;
    }
    return undefined;
  };
  const next: Fallbacks['next'] = async (refused) => {
    for (let name = nextName(); name !== undefined; name = nextName()) {
      const resolved = exchange.line.servedOn(exchange.surface, exchange.line.resolveFallback(name));
      visited.push({ resolved });
      if (resolved.targets.length === 0) continue;
      const refusal = await admitFallback(exchange, body, resolved);
      if (refusal !== undefined) {
        refused(refusal);
        continue;
      }
      exchange.resolved = resolved;
      const guards = guardsOf(exchange, 'request').filter((guard) => !guarded.has(guard));
      for (const guard of guards) guarded.add(guard);
      if (guards.length > 0) body = await guardBefore(exchange, guards, body);
      return body;
    }
    return undefined;
  };
  return {
    body,
    anyLeft: () => nextName() !== undefined,
    failed: (cause) => {
      visited.at(-1)!.cause = cause;
    },
    next,
  };
}

function isNamed({ name, model }: ResolvedModel, asked: string): boolean {
  return name === asked || model.name === asked || model.aliases?.includes(asked) === true;
}

interface Wishes {
  body: ClientBody;
  /** Absent: as the operator says. */
  names?: readonly string[];
}

function wishesOf(exchange: Exchange, body: ClientBody): Wishes {
  const { members } = body.scan;
  if (!members.has('fallbacks') && !members.has('disable_fallbacks')) return { body };
  const names = namesIn(valueOf(body, 'fallbacks'));
  const disabled = valueOf(body, 'disable_fallbacks') ?? false;
  if (typeof disabled !== 'boolean') throw wrongType('disable_fallbacks', 'true or false');
  // By their own grant: what the operator lists comes with the model, what a caller wishes does not.
  for (const name of names ?? []) exchange.line.resolve(name, exchange.caller!);
  const without = spliceMembers(body.bytes, body.scan, { fallbacks: undefined, disable_fallbacks: undefined });
  const own = disabled ? [] : names;
  return { body: readClientBody(without), ...(own !== undefined && { names: own }) };
}

function valueOf({ bytes, scan }: ClientBody, name: string): unknown {
  const span = scan.members.get(name);
  return span === undefined ? undefined : JSON.parse(bytes.toString('utf8', span.valueStart, span.valueEnd));
}

function namesIn(value: unknown): readonly string[] | undefined {
  if (value === undefined || value === null) return undefined;
  const isList = Array.isArray(value) && value.length <= MOST_FALLBACKS && value.every((each) => typeof each === 'string');
  if (!isList) throw wrongType('fallbacks', `a list of at most ${MOST_FALLBACKS} names of models`);
  return value;
}

function wrongType(param: string, expected: string): GatewayError {
  return new GatewayError('invalid_request', { details: { message: `\`${param}\` must be ${expected}`, param } });
}
