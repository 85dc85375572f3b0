/**
 * An upstream that answers with recorded traffic: the model asked for is the id of the recording. Real HTTP, streams in slices of
 * any size and pace, and everything it was sent is kept for the test to look at.
 */
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import type { RecordedExchange } from './recordings.ts';

export interface ReplayRequest {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export interface Pace {
  /** Bytes of the next slice, or Infinity for all at once. */
  sliceBytes: () => number;
  everyMs: number;
}

export interface ReplayUpstream {
  url: string;
  requests: ReplayRequest[];
  /** performance.now() when the last byte of the last answer was written. */
  lastByteAt: () => number;
  setPace: (pace: Pace) => void;
  close: () => Promise<void>;
}

const AT_ONCE: Pace = { sliceBytes: () => Infinity, everyMs: 0 };
/** What a recording's headers may not bring along: they describe another body's framing. */
const FRAMING = new Set(['content-length', 'content-encoding', 'transfer-encoding', 'connection', 'keep-alive']);

export async function startReplayUpstream(recordings: readonly RecordedExchange[]): Promise<ReplayUpstream> {
  const byId = new Map(recordings.map((recording) => [recording.id, recording]));
  const requests: ReplayRequest[] = [];
  let pace = AT_ONCE;
  let lastByteAt = 0;

  const server = createServer((incoming, response) => {
    void (async () => {
      const body = Buffer.concat(await incoming.toArray());
      requests.push({ method: incoming.method!, path: incoming.url!, headers: incoming.headers, body });
      const recording = byId.get(modelOf(body));
      if (recording === undefined) return void response.writeHead(418).end('no such recording');
      await answer(recording, response, pace);
      lastByteAt = performance.now();
    })();
  });
  await listen(server);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    lastByteAt: () => lastByteAt,
    setPace: (next) => {
      pace = next;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The very bytes a recording's answer consists of. */
export function answerBytes({ response }: RecordedExchange): Buffer {
  if (response.base64 !== undefined) return Buffer.from(response.base64, 'base64');
  return Buffer.from(response.text ?? JSON.stringify(response.body));
}

async function answer(recording: RecordedExchange, response: ServerResponse, pace: Pace): Promise<void> {
  const headers = Object.entries(recording.response.headers).filter(([name]) => !FRAMING.has(name.toLowerCase()));
  const type = recording.response.kind === 'sse' ? 'text/event-stream; charset=utf-8' : 'application/json';
  response.writeHead(recording.response.status, { 'content-type': type, ...Object.fromEntries(headers) });
  const bytes = answerBytes(recording);
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + pace.sliceBytes());
    response.write(bytes.subarray(at, end));
    at = end;
    if (at < bytes.length) await delay(pace.everyMs);
  }
  response.end();
}

function modelOf(body: Buffer): string {
  return (JSON.parse(body.toString('utf8')) as { model: string }).model;
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}
