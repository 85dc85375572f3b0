/** Calls of the admin API for commands: to a URL, or past the public port to the control socket of a data directory on this machine. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { controlSocketAddress } from '../runtime/data-dir.ts';
import { errorText } from '../runtime/start-error.ts';
import { collect } from '../upstream/unary.ts';
import { createWayOut } from '../upstream/way-out.ts';
import { CommandError } from './command-error.ts';
import { dataPath } from './config-path.ts';
import type { CliIo } from './io.ts';
import { packageVersion } from './process-io.ts';

/** Flags of every command that speaks to a running server. */
export interface AdminFlags {
  url?: string | undefined;
  adminKey?: string | undefined;
  data?: string | undefined;
  /** Answers of the API as they come. */
  json?: boolean | undefined;
}

export interface AdminAnswer {
  status: number;
  headers: Readonly<Record<string, string>>;
  text: string;
}

export interface AdminCall {
  body?: object;
  query?: Readonly<Record<string, string | undefined>>;
  headers?: Readonly<Record<string, string>>;
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface AdminClient {
  /** Throws CommandError where no good answer came; its message is for the person at the terminal. */
  ask(method: Method, path: string, call?: AdminCall): Promise<AdminAnswer>;
  /** `ask` of an answer that is JSON. */
  json<Answer>(method: Method, path: string, call?: AdminCall): Promise<Answer>;
  /** All pages of a list. */
  list<Row>(path: string, query?: AdminCall['query']): Promise<Row[]>;
}

const TIMEOUT_MS = 60_000;
const MAX_BYTES = 64 * 1024 * 1024;
const ADMIN = '/admin/v1';

export function createAdminClient(flags: AdminFlags, io: CliIo): AdminClient {
  const endpoint = endpointOf(flags, io);
  const wayOut = createWayOut(`signalbox-cli/${packageVersion()}`);
  wayOut.use({ allowPrivate: [], clientCertificates: [] });
  const timeouts = { connectMs: 5_000, firstByteMs: TIMEOUT_MS, idleMs: TIMEOUT_MS, totalMs: TIMEOUT_MS };

  const ask = async (method: Method, path: string, { body, query = {}, headers = {} }: AdminCall = {}): Promise<AdminAnswer> => {
    const asked = new URLSearchParams(Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined));
    const sent = wayOut.send({
      endpoint,
      method,
      path: `${ADMIN}${path}${asked.size === 0 ? '' : `?${asked.toString()}`}`,
      headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
      body: body === undefined ? undefined : Buffer.from(JSON.stringify(body)),
      timeouts,
      stream: false,
    });
    const answer = await sent.answer;
    if (answer.failed) throw new CommandError(`${endpoint.shown} cannot be reached: ${causeOf(answer.error)}`);
    const collected = await collect(answer.body, { maxBytes: MAX_BYTES, contentLength: answer.headers['content-length'] });
    if (!('whole' in collected)) throw new CommandError(`${endpoint.shown} sent no whole answer`);
    const text = collected.whole.toString('utf8');
    if (answer.status >= 300)
      throw new CommandError(`${complaintOf(answer.status, text)}${adviceOn(answer.status, endpoint.keyFrom)}`);
    const flat = Object.entries(answer.headers).map(([name, value]) => [name, String(value)]);
    return { status: answer.status, headers: Object.fromEntries(flat) as Record<string, string>, text };
  };
  const json = async <Answer>(...call: Parameters<typeof ask>): Promise<Answer> =>
    JSON.parse((await ask(...call)).text) as Answer;
  return {
    ask,
    json,
    list: async <Row>(path: string, query: AdminCall['query'] = {}) => {
      const rows: Row[] = [];
      for (let after: string | undefined; ;) {
        const page = await json<{ data: Row[]; next?: string | null }>('GET', path, { query: { ...query, after } });
        rows.push(...page.data);
        if (page.next === undefined || page.next === null) return rows;
        after = page.next;
      }
    },
  };
}

function endpointOf(flags: AdminFlags, io: CliIo) {
  const dataDir = dataPath(flags.data, io);
  const url = flags.url ?? io.env['SIGNALBOX_URL'];
  const { key, keyFrom } = keyOf(flags.adminKey, join(dataDir, 'admin-key'), io);
  if (key === undefined || key === '') {
    throw new CommandError('no admin key: set SIGNALBOX_ADMIN_KEY, or give --admin-key or the server’s --data directory');
  }
  const headers = { authorization: `Bearer ${key}` };
  if (url !== undefined && url !== '') return { baseUrl: url.replace(/\/+$/, ''), headers, weight: 1, shown: url, keyFrom };
  const socketPath = controlSocketAddress(dataDir);
  if (!existsSync(socketPath)) throw new CommandError(`no server runs on ${dataDir}; name one by --url or SIGNALBOX_URL`);
  return { baseUrl: 'http://signalbox', headers, weight: 1, socketPath, shown: `the server on ${dataDir}`, keyFrom };
}

function keyOf(flag: string | undefined, path: string, io: CliIo): { key: string | undefined; keyFrom: string } {
  if (flag !== undefined) return { key: flag, keyFrom: '--admin-key' };
  const set = io.env['SIGNALBOX_ADMIN_KEY'];
  return set === undefined ? { key: keptKey(path), keyFrom: path } : { key: set, keyFrom: 'SIGNALBOX_ADMIN_KEY' };
}

/** The key that the first start minted; anybody else's eyes on it would make it worthless. */
function keptKey(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  if ((statSync(path).mode & 0o077) !== 0) throw new CommandError(`${path} can be read by others: chmod 600 it`);
  return readFileSync(path, 'utf8').trim();
}

function causeOf(error: Error): string {
  return error.cause === undefined ? error.message : errorText(error.cause);
}

/** What to do about it, where the API's own words are for programs. */
function adviceOn(status: number, keyFrom: string): string {
  if (status === 401) return `; the key came from ${keyFrom}`;
  if (status === 412)
    return ': somebody changed it in between; look with `config get`, and name the version that it shows by --from';
  return '';
}

/** Every issue on a line of its own. */
function complaintOf(status: number, text: string): string {
  try {
    const { error } = JSON.parse(text) as {
      error: { message: string; issues?: { param: string; message: string; place?: string }[] };
    };
    const issues = error.issues ?? [];
    if (issues.length === 0) return `${error.message} (${status})`;
    return issues.map(({ param, message, place }) => `${place ?? param}: ${message}`).join('\n');
  } catch {
    return `the server answered ${status}`;
  }
}
