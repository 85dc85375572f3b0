/** Requests as bytes, for what no well-behaved client would send. */
import { connect, type Socket } from 'node:net';

export interface RawClient {
  socket: Socket;
  send(text: string | Buffer): void;
  /** All that has come so far, as latin1. */
  received(): string;
  /** Waits until what has come matches; rejects with what has come. */
  until(pattern: RegExp, timeoutMs?: number): Promise<string>;
  /** Waits until the server has closed the connection, and tells how. */
  closed(timeoutMs?: number): Promise<'end' | 'reset'>;
}

export async function openRaw(port: number, localAddress = '127.0.0.1'): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  let text = '';
  let ending: 'end' | 'reset' | undefined;
  socket.setEncoding('latin1').on('data', (piece: string) => (text += piece));
  socket.on('end', () => (ending ??= 'end'));
  socket.on('error', () => (ending ??= 'reset'));
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  const received = (): string => text;
  return {
    socket,
    send: (text) => void socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text),
    received,
    async until(pattern, timeoutMs = 5_000) {
      await poll(
        () => pattern.test(received()),
        timeoutMs,
        () => `nothing matches ${pattern} in ${JSON.stringify(received())}`,
      );
      return received();
    },
    async closed(timeoutMs = 5_000) {
      await poll(
        () => ending !== undefined,
        timeoutMs,
        () => `still open after ${JSON.stringify(received())}`,
      );
      return ending ?? 'reset';
    },
  };
}

async function poll(done: () => boolean, timeoutMs: number, complain: () => string): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!done()) {
    if (performance.now() > deadline) throw new Error(complain());
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export interface RawAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** The first answer of what has come; bodies with a length or up to the end. */
export function parseAnswer(text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n');
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const length = headers['content-length'];
  return {
    status: Number(first.split(' ')[1]),
    headers,
    body: text.slice(end + 4, length === undefined ? undefined : end + 4 + Number(length)),
  };
}

/** Sends the bytes on a connection of their own and returns the first whole answer. */
export async function askRaw(port: number, bytes: string): Promise<RawAnswer> {
  const client = await openRaw(port);
  client.send(bytes);
  try {
    await client.until(/^HTTP\/1\.1 \d{3}[^]*\r\n\r\n/);
    const answer = parseAnswer(client.received());
    const length = Number(answer.headers['content-length'] ?? 0);
    await client.until(new RegExp(`\\r\\n\\r\\n[^]{${length}}`));
    return parseAnswer(client.received());
  } finally {
    client.socket.destroy();
  }
}
