/**
 * What a route of the control plane is. Routing, validation, authorisation, the audit log, the OpenAPI document and the matrix of tests are all made from
 * this one value; nothing about a route stands anywhere else.
 */
import * as z from 'zod';

import type { Access } from './access.ts';
import type { Identity } from './actor.ts';
import type { Services } from './ports.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** One call, checked against the route's schemas. */
export interface Call<Params = unknown, Query = unknown, Body = unknown> extends Identity {
  params: Params;
  query: Query;
  body: Body;
  services: Services;
  /** The client's address. */
  ip: string;
  requestId: string;
  /** A request header, by its lower-case name. */
  header: (name: string) => string | undefined;
}

/** What an action did, for the audit log. Secrets have no place in it, not even as digests. */
export interface Change {
  /** Id of what was changed, `kind:id`. */
  target: string;
  /** As the API would show it. Absent: it was not there. */
  before?: object | undefined;
  after?: object | undefined;
}

interface ReplyHead {
  /** Another than the route's own: 202 where a change is not yet in force everywhere, 302. */
  status?: number;
  headers?: Readonly<Record<string, string>>;
}

/** JSON as the route's schema says, or text of another type (CSV, YAML). Mutations say what they changed. */
export type Reply<Body> = ReplyHead & ({ body: Body } | { text: string; contentType: string });
export type Done<Body> = Reply<Body> & { change: Change };

interface RouteHead<Params> {
  /** `/admin/v1/teams/{team}/members/{user}`: a parameter is one segment, percent-decoded once. Its name is the kind of its object. */
  path: `/${string}`;
  /** A sentence for the documentation, without a full stop. */
  summary: string;
  /** Section of the documentation: the resource. */
  tag: string;
  access: Access<Params, Services>;
}

interface Answer<Body extends z.ZodType> {
  status: 200 | 201 | 202;
  /** What leaves is cut to this schema: a field that it does not know never gets out. */
  schema: Body;
  /** Other content types that `text` may have. */
  text?: readonly string[];
}

const nothing = z.strictObject({});
type Empty = typeof nothing;

/** A reading route has no body and leaves nothing in the audit log. */
export interface ReadRoute<P extends z.ZodType, Q extends z.ZodType, A extends z.ZodType> extends RouteHead<z.output<P>> {
  method: 'GET';
  params?: P;
  query?: Q;
  answer: Answer<A>;
  handle: (call: Call<z.output<P>, z.output<Q>, undefined>) => Promise<Reply<z.input<A>>>;
}

/** A mutation: the log has its beginning before the handler runs, and what came of it after. */
export interface WriteRoute<P extends z.ZodType, B extends z.ZodType, A extends z.ZodType, Q extends z.ZodType> extends RouteHead<
  z.output<P>
> {
  method: Exclude<Method, 'GET'>;
  params?: P;
  query?: Q;
  /** Absent: the body is empty or `{}`. */
  body?: B;
  answer: Answer<A>;
  /** `key.create`. */
  audit: string;
  handle: (call: Call<z.output<P>, z.output<Q>, z.output<B>>) => Promise<Done<z.input<A>>>;
}

/** A route with its types forgotten, as the table holds it. */
export interface AdminRoute extends Omit<RouteHead<unknown>, 'access'> {
  method: Method;
  params: z.ZodObject;
  query: z.ZodObject;
  body: z.ZodType | undefined;
  answer: Answer<z.ZodType>;
  access: Access<unknown, Services>;
  audit: string | undefined;
  handle: (call: Call) => Promise<Reply<unknown> & { change?: Change }>;
}

export function readRoute<P extends z.ZodType = Empty, Q extends z.ZodType = Empty, A extends z.ZodType = z.ZodType>(
  route: Omit<ReadRoute<P, Q, A>, 'method'>,
): AdminRoute {
  return { params: nothing, query: nothing, body: undefined, audit: undefined, ...route, method: 'GET' } as unknown as AdminRoute;
}

export function writeRoute<
  P extends z.ZodType = Empty,
  B extends z.ZodType = Empty,
  A extends z.ZodType = z.ZodType,
  Q extends z.ZodType = Empty,
>(route: WriteRoute<P, B, A, Q>): AdminRoute {
  return { params: nothing, query: nothing, body: nothing, ...route } as unknown as AdminRoute;
}
