/** The route table, compiled: raw paths to routes. A path is matched as it came; only the segment of a declared parameter is percent-decoded, once. */
import { GatewayError } from '../../core/errors.ts';
import { notThere } from './access.ts';
import type { AdminRoute } from './route.ts';

export interface Found {
  route: AdminRoute;
  /** Decoded; throws not_found where something does not decode. */
  params: () => Record<string, string>;
}

export interface RouteTable {
  /** `allow`: the methods that the path does accept; empty: there is nothing at it. */
  match(method: string, path: string): Found | { allow: string[] };
  routes: readonly AdminRoute[];
}

interface Compiled {
  route: AdminRoute;
  segments: readonly Segment[];
}

type Segment = { literal: string } | { param: string };

const PATH = /^(?:\/(?:[a-z0-9_.-]+|\{[a-z_]+\}))+$/;

/** Throws on a route that is declared twice, is malformed, or has no policy that its path allows: the control plane does not start with a hole in it. */
export function createRouteTable(routes: readonly AdminRoute[]): RouteTable {
  const bySize = new Map<number, Compiled[]>();
  const seen = new Set<string>();
  for (const route of routes) {
    requireSound(route, seen);
    const segments = route.path.slice(1).split('/').map(segmentOf);
    const size = bySize.get(segments.length) ?? [];
    size.push({ route, segments });
    bySize.set(segments.length, size);
  }
  // A literal is meant before a parameter is.
  for (const size of bySize.values()) size.sort((a, b) => rank(a).localeCompare(rank(b)));
  return {
    routes,
    match(method, path) {
      const segments = path.slice(1).split('/');
      const fitting = (bySize.get(segments.length) ?? []).filter((each) => fits(each, segments));
      const wanted: string = method === 'HEAD' ? 'GET' : method;
      const found = fitting.find(({ route }) => route.method === wanted);
      if (found === undefined) return { allow: [...new Set(fitting.map(({ route }) => route.method))] };
      return { route: found.route, params: () => paramsOf(found, segments) };
    },
  };
}

function segmentOf(text: string): Segment {
  return text.startsWith('{') ? { param: text.slice(1, -1) } : { literal: text };
}

function rank({ segments }: Compiled): string {
  return segments.map((segment) => ('literal' in segment ? '0' : '1')).join('');
}

function fits({ segments }: Compiled, path: readonly string[]): boolean {
  return segments.every((segment, index) => ('literal' in segment ? segment.literal === path[index] : path[index] !== ''));
}

function paramsOf({ segments }: Compiled, path: readonly string[]): Record<string, string> {
  const params: Record<string, string> = {};
  for (const [index, segment] of segments.entries()) {
    if ('param' in segment) params[segment.param] = decodeSegment(path[index] ?? '');
  }
  return params;
}

const SEGMENT = /^(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})+$/;

/** Throws not_found: what does not decode, or holds control characters, is the id of nothing. */
function decodeSegment(raw: string): string {
  try {
    const value = SEGMENT.test(raw) ? decodeURIComponent(raw) : '';
    if (value !== '' && !/\p{Cc}/u.test(value)) return value;
  } catch {
    // Not UTF-8.
  }
  throw notThere();
}

function requireSound(route: AdminRoute, seen: Set<string>): void {
  const name = `${route.method} ${route.path}`;
  const access: { on?: string } | undefined = route.access;
  const declared = Object.keys(route.params.shape).join();
  const inPath = [...route.path.matchAll(/\{([a-z_]+)\}/g)].map(([, param]) => param).join();
  if (!PATH.test(route.path) || seen.has(name)) throw new Error(`Route ${name} is malformed or declared twice`);
  if (access?.on === undefined) throw new Error(`Route ${name} has no policy`);
  if (access.on === 'public' && route.path.startsWith('/admin')) throw new Error(`Route ${name} may not be public`);
  if (declared !== inPath) throw new Error(`Route ${name} declares the parameters ${declared}`);
  if ((route.method !== 'GET') !== (route.audit !== undefined)) throw new Error(`Route ${name} has no name in the audit log`);
  seen.add(name);
}

export function mismatch({ allow }: { allow: readonly string[] }): GatewayError {
  return new GatewayError(allow.length === 0 ? 'not_found' : 'method_not_allowed');
}
