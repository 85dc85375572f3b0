/**
 * An upstream that misbehaves by script: a raw TCP (or TLS) server which reads real HTTP/1.1 requests and writes exactly the bytes, pauses
 * and cuts it is told to. What a test wants to see on the wire it writes here; nothing is added.
 */
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions, type TLSSocket } from 'node:tls';
import { setTimeout as delay } from 'node:timers/promises';

/** One thing the upstream does. After the last step the connection waits for its next request. */
export type Step =
  /** Bytes, written when the socket takes them: the next step waits for that. */
  | { send: string | Buffer }
  | { waitMs: number }
  /** Bytes in slices of `size`, with a pause after each. */
  | { drip: string | Buffer; size: number | (() => number); everyMs: number }
  /** Whatever the test does in between. */
  | { run: () => void | Promise<void> }
  /** RST, as a crashed process gives. */
  | 'reset'
  /** FIN in good TCP order, whatever HTTP would have expected. */
  | 'fin'
  /** Nothing more, until the other side closes. */
  | 'hang';

export interface FaultRequest {
  method: string;
  path: string;
  /** Lower case names; repeated ones joined by a comma. */
  headers: Record<string, string>;
  /** Header names as they came, in order. */
  rawNames: string[];
  body: Buffer;
  /** Counts connections from 0. */
  connection: number;
  /** Subject of the client's certificate, over TLS. */
  clientName: string | undefined;
}

export type Script = (request: FaultRequest) => Step[];

export interface FaultUpstream {
  url: string;
  port: number;
  requests: FaultRequest[];
  /** Connections ever accepted. */
  accepted: number;
  /** Connections open now. */
  open: () => number;
  /** performance.now() of every connection's close, in order. */
  closedAt: number[];
  /** Replaces the script for the requests that follow. */
  play: (script: Script) => void;
  close: () => Promise<void>;
}

export interface FaultOptions {
  host?: string;
  port?: number;
  tls?: TlsOptions;
  /** A Unix socket instead of a port. */
  socketPath?: string;
}

export async function startFaultUpstream(script: Script, options: FaultOptions = {}): Promise<FaultUpstream> {
  const sockets = new Set<Socket>();
  let current = script;
  const accept = (socket: Socket): void => {
    sockets.add(socket);
    const connection = upstream.accepted++;
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      upstream.closedAt.push(performance.now());
    });
    void serve(socket, connection, {
      script: (request) => current(request),
      requests: upstream.requests,
    });
  };
  const server: Server = options.tls === undefined ? createTcpServer(accept) : createTlsServer(options.tls, accept);
  server.on('tlsClientError', () => {});
  const host = options.host ?? '127.0.0.1';
  const where = options.socketPath === undefined ? { host, port: options.port ?? 0 } : { path: options.socketPath };
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, resolve);
  });
  const port = options.socketPath === undefined ? (server.address() as AddressInfo).port : 0;
  const upstream: FaultUpstream = {
    url: `${options.tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    requests: [],
    accepted: 0,
    open: () => sockets.size,
    closedAt: [],
    play(next) {
      current = next;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return upstream;
}

interface Serving {
  script: Script;
  requests: FaultRequest[];
}

async function serve(socket: Socket, connection: number, serving: Serving): Promise<void> {
  try {
    const read = createReader(socket);
    for (;;) {
      const request = await read();
      if (request === undefined) return;
      const clientName = (socket as TLSSocket).getPeerCertificate?.()?.subject?.CN;
      const full = { ...request, connection, clientName: typeof clientName === 'string' ? clientName : undefined };
      serving.requests.push(full);
      for (const step of serving.script(full)) {
        if (socket.destroyed) return;
        await play(socket, step);
      }
      if (socket.destroyed || socket.writableEnded) return;
    }
  } catch (error) {
    // A test's own mistake must not look like a misbehaving upstream.
    if (!socket.destroyed) throw error;
  }
}

async function play(socket: Socket, step: Step): Promise<void> {
  if (step === 'reset') socket.resetAndDestroy();
  else if (step === 'fin') socket.end();
  else if (step === 'hang') await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  else if ('send' in step) await write(socket, step.send);
  else if ('waitMs' in step) await delay(step.waitMs);
  else if ('run' in step) await step.run();
  else await drip(socket, step);
}

async function drip(
  socket: Socket,
  step: { drip: string | Buffer; size: number | (() => number); everyMs: number },
): Promise<void> {
  const bytes = Buffer.from(step.drip);
  let at = 0;
  while (at < bytes.length && !socket.destroyed) {
    const size = typeof step.size === 'number' ? step.size : step.size();
    await write(socket, bytes.subarray(at, at + size));
    at += size;
    if (step.everyMs > 0) await delay(step.everyMs);
    else await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Settles when the socket has taken the bytes, or is gone. */
function write(socket: Socket, bytes: string | Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve();
    const done = (): void => {
      socket.off('close', done);
      resolve();
    };
    socket.once('close', done);
    socket.write(bytes, done);
  });
}

type PlainRequest = Omit<FaultRequest, 'connection' | 'clientName'>;

/** Reads one request after the other; undefined when the client has closed. Bodies by content-length only, which is all we send. */
function createReader(socket: Socket): () => Promise<PlainRequest | undefined> {
  let buffered: Buffer = Buffer.alloc(0);
  let wake: () => void = () => {};
  let ended = false;
  socket.on('data', (chunk: Buffer) => {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
    wake();
  });
  const end = (): void => {
    ended = true;
    wake();
  };
  socket.on('end', end).on('close', end);

  const take = async (size: () => number): Promise<Buffer | undefined> => {
    for (;;) {
      const wanted = size();
      if (wanted >= 0 && buffered.length >= wanted) {
        const taken = buffered.subarray(0, wanted);
        buffered = buffered.subarray(wanted);
        return taken;
      }
      if (ended) return undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };

  return async () => {
    const head = await take(() => {
      const at = buffered.indexOf('\r\n\r\n');
      return at === -1 ? -1 : at + 4;
    });
    if (head === undefined) return undefined;
    const [first = '', ...lines] = head.toString('latin1').trimEnd().split('\r\n');
    const [method = '', path = ''] = first.split(' ');
    const headers: Record<string, string> = {};
    const rawNames: string[] = [];
    for (const line of lines) {
      const colon = line.indexOf(':');
      const name = line.slice(0, colon);
      const value = line.slice(colon + 1).trim();
      rawNames.push(name);
      const key = name.toLowerCase();
      headers[key] = headers[key] === undefined ? value : `${headers[key]}, ${value}`;
    }
    const body = await take(() => Number(headers['content-length'] ?? 0));
    return body === undefined ? undefined : { method, path, headers, rawNames, body };
  };
}

/** A response head. */
export function head(status: number, headers: Record<string, string | number> = {}): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Whatever\r\n${lines.join('')}\r\n`;
}

/** One chunk of a chunked body. */
export function chunk(bytes: string | Buffer): Buffer {
  const data = Buffer.from(bytes);
  return Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')]);
}

export const LAST_CHUNK = '0\r\n\r\n';

/** A whole answer with a length. */
export function whole(status: number, body: string | Buffer, headers: Record<string, string | number> = {}): Buffer {
  const data = Buffer.from(body);
  const all = { 'content-type': 'application/json', ...headers, 'content-length': data.length };
  return Buffer.concat([Buffer.from(head(status, all)), data]);
}

/** The head of a chunked event stream. */
export const SSE_HEAD = head(200, { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked' });
