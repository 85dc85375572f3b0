/**
 * The static route table, compiled once. A request is matched by its raw request-target alone: never by a URL rebuilt from
 * `Host`, never after a normalisation that a front proxy might do differently.
 */
import { GatewayError } from '../core/errors.ts';
import type { Route } from './edge.ts';
import { decodeParameter, requirePlainPath } from './target.ts';

/** Paths the gateway answers at; everything else stays free for the operator's front proxy. `/` is for `HEAD /`. */
const RESERVED = [
  '/v1',
  '/v1beta',
  '/a2a',
  '/mcp',
  '/admin',
  '/console',
  '/docs',
  '/health',
  '/metrics',
  '/openai',
  '/passthrough',
  '/oidc',
];

const METHODS = ['GET', 'HEAD', 'POST'] as const;
const ACCESS: ReadonlySet<string> = new Set(['public', 'key', 'control']);
const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze({});

export interface Match {
  route: Route;
  path: string;
  /** With its `?`, or ''. */
  query: string;
  params: Readonly<Record<string, string>>;
}

/** `route` is there where the path is known but not with this method: its words are used to say so. */
export interface Mismatch {
  error: GatewayError;
  route?: Route;
  /** The methods this path does accept, for `Allow`. */
  allow?: string;
}

export interface Router {
  match(method: string, target: string): Match | Mismatch;
}

/** `/v1/models/{id}`, or `/admin/*` (no name): what follows `prefix` is the route's own. */
interface Pattern {
  prefix: string;
  parameter: string | undefined;
  routes: Map<string, Route>;
}

/** `/a2a/{agent}/push/{push}`: parameters amid a path are one segment each. They go before prefixes. */
interface Template {
  shape: RegExp;
  route: Route;
}

interface Table {
  /** method → path → route; `*` for the methods that no route names. */
  exact: Map<string, Map<string, Route>>;
  templates: Template[];
  /** Longest prefix first. */
  patterns: Pattern[];
}

/**
 * Throws on a route without a policy, on two that are the same, and on one outside the reserved prefixes: a start with a hole
 * in the table does not happen.
 *
 * Errors that `match` answers: bad_target, not_found, method_not_allowed.
 */
export function createRouter(routes: readonly Route[]): Router {
  const table = compile(routes);
  return {
    match(method, target) {
      const cut = target.indexOf('?');
      const path = cut === -1 ? target : target.slice(0, cut);
      const query = cut === -1 ? '' : target.slice(cut);
      const route = (table.exact.get(method) ?? table.exact.get('*'))?.get(path);
      // The common case: declared paths are clean, so one that equals a declared path needs no look at its characters.
      if (route !== undefined && (cut === -1 || !query.includes('#'))) return { route, path, query, params: NO_PARAMS };
      try {
        return matchSlowly(table, method, { path, query });
      } catch (error) {
        if (error instanceof GatewayError) return { error };
        throw error;
      }
    },
  };
}

function matchSlowly(table: Table, method: string, { path, query }: { path: string; query: string }): Match | Mismatch {
  if (!path.startsWith('/')) throw badTarget('it must start with a slash: this is not a forward proxy');
  if (path.includes('#') || query.includes('#')) throw badTarget('a fragment is not part of a request');
  const templated = table.templates.find(({ shape }) => shape.test(path));
  if (templated !== undefined) return matchTemplate(templated, method, { path, query });
  const pattern = table.patterns.find(
    ({ prefix, parameter }) => path.startsWith(prefix) || (parameter === undefined && path === prefix.slice(0, -1)),
  );
  const exact = exactRoutesAt(table, path);
  if (pattern === undefined) {
    requirePlainPath(path);
    return mismatchOf(exact);
  }
  const rest = path.slice(pattern.prefix.length);
  const params = pattern.parameter === undefined ? NO_PARAMS : { [pattern.parameter]: decodeParameter(rest) };
  // The control plane has parameters of its own in its paths. It decodes them itself; here it is only made sure that this can be done in one way.
  if (pattern.parameter === undefined && rest !== '') decodeParameter(rest);
  const route = pattern.routes.get(method) ?? pattern.routes.get('*');
  return route === undefined ? mismatchOf(new Map([...exact, ...pattern.routes])) : { route, path, query, params };
}

function matchTemplate({ shape, route }: Template, method: string, { path, query }: { path: string; query: string }) {
  if (route.method !== '*' && route.method !== method) return mismatchOf(new Map([[route.method, route]]));
  const named = Object.entries(shape.exec(path)?.groups ?? {});
  return { route, path, query, params: Object.fromEntries(named.map(([name, raw]) => [name, decodeParameter(raw)])) };
}

function exactRoutesAt(table: Table, path: string): Map<string, Route> {
  const found = new Map<string, Route>();
  for (const method of METHODS) {
    const route = table.exact.get(method)?.get(path);
    if (route !== undefined) found.set(method, route);
  }
  return found;
}

function mismatchOf(routes: Map<string, Route>): Mismatch {
  const [route] = routes.values();
  if (route === undefined) return { error: new GatewayError('not_found') };
  return { error: new GatewayError('method_not_allowed'), route, allow: [...routes.keys()].join(', ') };
}

function badTarget(why: string): GatewayError {
  return new GatewayError('bad_target', { details: { message: `The request target is malformed: ${why}` } });
}

function compile(routes: readonly Route[]): Table {
  const exact = new Map<string, Map<string, Route>>(['*', ...METHODS].map((method) => [method, new Map<string, Route>()]));
  const patterns = new Map<string, Pattern>();
  const templates: Template[] = [];
  // Specific methods first, so that `*` and HEAD-by-GET only fill the gaps.
  const ordered = routes.filter(({ method }) => method !== '*').concat(routes.filter(({ method }) => method === '*'));
  for (const route of ordered) {
    requireSound(route);
    if (isTemplate(route)) {
      declareTemplate(templates, route);
      continue;
    }
    const { prefix, parameter } = shapeOf(route.path);
    if (parameter === null) declareExact(exact, route);
    else declarePattern(patterns, route, { prefix, parameter });
  }
  for (const route of ordered) if (route.method === 'GET' && !isTemplate(route)) answerHead(exact, patterns, route);
  return { exact, templates, patterns: [...patterns.values()].sort((a, b) => b.prefix.length - a.prefix.length) };
}

function requireSound(route: Route): void {
  const name = `${route.method} ${route.path}`;
  const policy: Partial<Route['policy']> | undefined = route.policy;
  if (policy?.access === undefined || policy.body === undefined || policy.errors === undefined || !ACCESS.has(policy.access)) {
    throw new Error(`Route ${name} has no policy`);
  }
  const reserved = RESERVED.some((prefix) => route.path === prefix || route.path.startsWith(`${prefix}/`));
  if (!reserved && route.path !== '/') throw new Error(`Route ${name} lies outside the reserved prefixes`);
}

function isTemplate({ path }: Route): boolean {
  return /\}.*\{/.test(path);
}

/** One route a shape: whoever needs more methods at it may ask for them then. */
function declareTemplate(templates: Template[], route: Route): void {
  requirePlainPath(route.path.replace(/\{\w+\}/g, 'x'));
  const shape = new RegExp(`^${route.path.replaceAll('.', '\\.').replace(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`);
  if (templates.some((other) => other.shape.source === shape.source)) throw twice(route);
  templates.push({ shape, route });
}

/** `parameter`: a name, undefined for `*`, null for an exact path. */
function shapeOf(path: string): { prefix: string; parameter: string | undefined | null } {
  const [, prefix, name] = /^(.*\/)(?:\{(\w+)\}|\*)$/.exec(path) ?? [];
  const fixed = prefix === undefined ? path : prefix.slice(0, -1);
  if (path !== '/') requirePlainPath(fixed);
  return prefix === undefined ? { prefix: path, parameter: null } : { prefix, parameter: name };
}

function declareExact(exact: Table['exact'], route: Route): void {
  if (exact.get(route.method)?.has(route.path) === true) throw twice(route);
  const methods = route.method === '*' ? ['*', ...METHODS] : [route.method];
  for (const method of methods) fill(exact.get(method), route.path, route);
}

function declarePattern(patterns: Map<string, Pattern>, route: Route, shape: Pick<Pattern, 'prefix' | 'parameter'>): void {
  const pattern = patterns.get(shape.prefix) ?? { ...shape, routes: new Map<string, Route>() };
  if (pattern.parameter !== shape.parameter || pattern.routes.has(route.method)) throw twice(route);
  pattern.routes.set(route.method, route);
  patterns.set(shape.prefix, pattern);
}

/** RFC 9110 §9.3.2: HEAD is GET without the body, and Node leaves the body out by itself. */
function answerHead(exact: Table['exact'], patterns: Map<string, Pattern>, route: Route): void {
  const { prefix, parameter } = shapeOf(route.path);
  const routes = parameter === null ? exact.get('HEAD') : patterns.get(prefix)?.routes;
  const key = parameter === null ? route.path : 'HEAD';
  const present = routes?.get(key);
  if (present === undefined || present.method === '*') routes?.set(key, route);
}

function fill(map: Map<string, Route> | undefined, key: string, route: Route): void {
  if (map?.has(key) === false) map.set(key, route);
}

function twice(route: Route): Error {
  return new Error(`Route ${route.method} ${route.path} is declared twice`);
}
