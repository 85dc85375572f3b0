/** Signing on and off, and the sessions that come of it. */
import * as z from 'zod';

import { GatewayError } from '../../core/errors.ts';
import type { ConsoleSession } from '../../store/ports/people.ts';
import { loadActor } from '../actor.ts';
import { ADMINS, READERS, notThere } from '../contract/access.ts';
import { isoOf, isoTime, pageFrom, pageOf, pageQuery, pathId } from '../contract/fields.ts';
import type { Services } from '../contract/ports.ts';
import { type Call, readRoute, writeRoute } from '../contract/route.ts';
import { SESSION_COOKIE, SIGN_ON_COOKIE, cookieOf, setCookie } from './cookies.ts';
import { SESSION_MS } from './sessions.ts';
import { SIGN_ON_S } from './sign-on.ts';

const PLAIN = 'text/plain; charset=utf-8';
const HTML = 'text/html; charset=utf-8';

const sessionView = z.object({
  id: z.string(),
  user: z.string(),
  created_at: isoTime,
  seen_at: isoTime.describe('Its last use, to the minute.'),
  ends_at: isoTime.describe('Used or not, it ends then; earlier after 30 minutes without use.'),
  ip: z.string().describe('Where it was opened.'),
  agent: z.string().describe('By what it was opened.'),
  current: z.boolean().describe('It is the one of this very request.'),
});

/** A path of the console, and nothing that a browser could take for another site. */
const localPath = z
  .string()
  .max(512)
  .regex(/^\/console(\/[\w.~/?&=%-]*)?$/, 'must be a path under /console');

export const peopleRoutes = [
  readRoute({
    path: '/oidc/login',
    summary: 'Sign on: sends the browser to the identity provider',
    tag: 'sign-on',
    access: { on: 'public' },
    query: z.strictObject({ return_to: localPath.default('/console/').describe('Where to go afterwards.') }),
    answer: { status: 200, schema: z.never(), text: [PLAIN] },
    handle: async ({ query, services }) => {
      const { url, cookie } = await signOnOf(services).begin(query.return_to);
      const headers = { location: url, 'set-cookie': setCookie(SIGN_ON_COOKIE, cookie, { sameSite: 'Lax', maxAgeS: SIGN_ON_S }) };
      return { status: 302, headers, text: '', contentType: PLAIN };
    },
  }),
  readRoute({
    path: '/oidc/callback',
    summary: 'Where the identity provider sends the browser back: opens a session',
    tag: 'sign-on',
    access: { on: 'public' },
    query: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
    answer: { status: 200, schema: z.never(), text: [HTML] },
    handle: async (call) => {
      const { token, returnTo } = await finish(call).catch((error: unknown) => notice(call.services, error));
      const headers = {
        'set-cookie': setCookie(SESSION_COOKIE, token, { sameSite: 'Strict', maxAgeS: SESSION_MS / 1000 }),
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
      };
      return { headers, text: pageThatLeadsTo(returnTo), contentType: HTML };
    },
  }),
  writeRoute({
    method: 'POST',
    path: '/oidc/logout',
    summary: 'Sign off: ends the session of this request',
    tag: 'sign-on',
    access: { on: 'people' },
    answer: {
      status: 200,
      schema: z.object({
        provider_logout_url: z
          .string()
          .nullable()
          .describe('Where the browser may end the session at the identity provider itself.'),
      }),
    },
    audit: 'session.end',
    handle: async (call) => {
      const { sessions, signOn } = call.services.people;
      const session = await currentSession(call);
      if (session === undefined) throw new GatewayError('not_found', { details: { message: 'This request has no session' } });
      await sessions.end(session.id);
      const url = await signOn()
        ?.logoutUrl()
        .catch(() => undefined);
      return {
        headers: { 'set-cookie': setCookie(SESSION_COOKIE, '', { sameSite: 'Strict', maxAgeS: 0 }) },
        body: { provider_logout_url: url ?? null },
        change: { target: `session:${session.id}`, before: viewOf(session) },
      };
    },
  }),
  readRoute({
    path: '/admin/v1/sessions',
    summary: 'List open sessions',
    tag: 'sessions',
    access: { on: 'installation', allow: READERS },
    query: z.strictObject({ ...pageQuery, user: pathId.exactOptional() }),
    answer: { status: 200, schema: pageOf(sessionView) },
    handle: async (call) => ({ body: await listSessions(call, call.query.user) }),
  }),
  readRoute({
    path: '/admin/v1/me/sessions',
    summary: 'List your own open sessions',
    tag: 'me',
    access: { on: 'people' },
    query: z.strictObject(pageQuery),
    answer: { status: 200, schema: pageOf(sessionView) },
    handle: async (call) => ({ body: await listSessions(call, call.actor.kind === 'user' ? call.actor.id : '') }),
  }),
  writeRoute({
    method: 'DELETE',
    path: '/admin/v1/sessions/{session}',
    summary: 'End a session',
    tag: 'sessions',
    params: z.strictObject({ session: pathId }),
    access: {
      on: 'object',
      allow: [...ADMINS, 'owner'],
      see: [...READERS, 'owner'],
      place: async ({ session }, { people }) => {
        const found = await people.sessions.get(session);
        return found && { owner: found.user };
      },
    },
    answer: { status: 200, schema: sessionView },
    audit: 'session.end',
    handle: async (call) => {
      const { sessions } = call.services.people;
      const session = await sessions.get(call.params.session);
      if (session === undefined) throw notThere();
      await sessions.end(session.id);
      const view = viewOf(session, await currentSession(call));
      return { body: view, change: { target: `session:${session.id}`, before: view } };
    },
  }),
];

function signOnOf({ people }: Services) {
  const signOn = people.signOn();
  if (signOn === undefined)
    throw new GatewayError('not_found', { details: { message: 'Nobody signs on here: `oidc` is not configured' } });
  return signOn;
}

type CallbackCall = Call<unknown, Record<string, string | string[]>>;

/** From the provider's answer to a session. A session that the browser had before ends: none is ever carried over a sign-on. */
async function finish(call: CallbackCall): Promise<{ token: string; returnTo: string }> {
  const { people, store } = call.services;
  const signOn = signOnOf(call.services);
  const query = new URLSearchParams(
    Object.entries(call.query).flatMap(([name, value]) => [value].flat().map((each) => [name, each])),
  );
  const { claims, returnTo } = await signOn.finish(query, cookieOf(call.header('cookie'), SIGN_ON_COOKIE));
  const person = signOn.personOf(claims);
  const admitted = person && (await people.admit(person, 'sign_on'));
  const actor = admitted && (await loadActor(store.entities, admitted.user));
  if (actor === undefined) throw notLetIn();
  const before = await currentSession(call);
  if (before !== undefined) await people.sessions.end(before.id);
  const { token, session } = await people.sessions.open({ user: actor.id, ip: call.ip, agent: call.header('user-agent') });
  people.log('info', { user: actor.id, session: session.id, client_ip: call.ip }, 'a person signed on');
  return { token, returnTo };
}

function notLetIn(): GatewayError {
  return new GatewayError('forbidden', { details: { message: 'You are known to the identity provider, but not let in here' } });
}

/** Why a sign-on failed stands in the log; codes and secrets of the protocol do not. */
function notice({ people }: Services, error: unknown): never {
  if (error instanceof GatewayError && error.code !== 'internal') {
    people.log('warn', { error: error.code, reasons: reasonsOf(error.cause) }, 'a sign-on failed');
  }
  throw error;
}

/** The libraries' own words for it: codes and claims' names, no values. */
function reasonsOf(cause: unknown, depth = 4): string[] {
  if (!(cause instanceof Error) || depth === 0) return [];
  const { code, error } = cause as { code?: unknown; error?: unknown };
  const words = [cause.message, code, error].filter((each): each is string => typeof each === 'string');
  return [words.join(' ').slice(0, 200), ...reasonsOf(cause.cause, depth - 1)];
}

/** A page of ours between the provider and the console: browsers send a Strict cookie only where our own page led to. */
function pageThatLeadsTo(path: string): string {
  const to = path.replaceAll('&', '&amp;');
  return `<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=${to}"><title>Signalbox</title><p>You are signed on. <a href="${to}">Go on</a></p>\n`;
}

async function currentSession({
  services,
  header,
  via,
}: Pick<Call, 'services' | 'header' | 'via'>): Promise<ConsoleSession | undefined> {
  const token = via === 'token' || via === 'admin_key' ? undefined : cookieOf(header('cookie'), SESSION_COOKIE);
  return token === undefined ? undefined : services.people.sessions.find(token);
}

async function listSessions(
  call: Call<unknown, { after?: string; limit: number }>,
  user: string | undefined,
): Promise<z.input<ReturnType<typeof pageOf<typeof sessionView>>>> {
  const { after: afterId, limit } = call.query;
  const rows = await call.services.people.sessions.list({ user, afterId, limit: limit + 1 });
  const { page, next } = pageFrom(rows, limit, ({ id }) => id);
  const current = await currentSession(call);
  return { data: page.map((session) => viewOf(session, current)), next };
}

function viewOf(session: ConsoleSession, current?: ConsoleSession): z.input<typeof sessionView> {
  const { id, user, createdAtMs, seenAtMs, endsAtMs, ip, agent } = session;
  const times = { created_at: isoOf(createdAtMs), seen_at: isoOf(seenAtMs), ends_at: isoOf(endsAtMs) };
  return { id, user, ...times, ip, agent, current: id === current?.id };
}
