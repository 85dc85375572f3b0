/**
 * An upstream that answers with recorded traffic: the first segment of the path is the id of the recording, so that each recording can
 * stand as a provider of its own (`base_url: {url}/{id}/v1`). Real HTTP, streams in slices of any size and pace, cut where the test says;
 * everything it was sent is kept for the test to look at.
 */
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';

import type { RecordedExchange } from './recordings.ts';

export interface ReplayRequest {
  /** Id of the recording asked for. */
  recording: string;
  method: string;
  /** Behind the id, query included. */
  path: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
  /** performance.now() when the last byte of its answer was written. */
  answeredAt?: number;
}

export interface Pace {
  /** Bytes of the next slice of an answer of that size; Infinity: all at once. */
  sliceBytes: (answerBytes: number) => number;
  /** Pause after each slice; 0: one turn of the event loop. */
  everyMs: number;
  /** The answer stops there: in good order (`end`), with its chunks unfinished (`fin`), or as a crashed process does (`reset`). */
  cut?: { at: (bytes: Buffer) => number; how: 'end' | 'fin' | 'reset' };
}

export interface ReplayUpstream {
  url: string;
  requests: ReplayRequest[];
  setPace: (pace: Pace) => void;
  close: () => Promise<void>;
}

export const AT_ONCE: Pace = { sliceBytes: () => Infinity, everyMs: 0 };
/** What a recording's headers may not bring along: they describe another body's framing. */
const FRAMING = new Set(['content-length', 'content-encoding', 'transfer-encoding', 'connection', 'keep-alive']);

export async function startReplayUpstream(recordings: readonly RecordedExchange[]): Promise<ReplayUpstream> {
  const byId = new Map(recordings.map((recording) => [recording.id, recording]));
  const requests: ReplayRequest[] = [];
  let pace = AT_ONCE;

  const server = createServer((incoming, response) => {
    void (async () => {
      const body = Buffer.concat(await incoming.toArray());
      const [, id = '', path = ''] = /^\/([^/]+)(.*)$/.exec(incoming.url ?? '') ?? [];
      const request: ReplayRequest = { recording: id, method: incoming.method ?? '', path, headers: incoming.headers, body };
      requests.push(request);
      const recording = byId.get(id);
      if (recording === undefined) return void response.writeHead(418).end('no such recording');
      await answer(recording, response, pace);
      request.answeredAt = performance.now();
    })();
  });
  await listen(server);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
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

async function answer(recording: RecordedExchange, response: ServerResponse, { sliceBytes, everyMs, cut }: Pace): Promise<void> {
  const headers = Object.entries(recording.response.headers).filter(([name]) => !FRAMING.has(name.toLowerCase()));
  const type = recording.response.kind === 'sse' ? 'text/event-stream; charset=utf-8' : 'application/json';
  response.writeHead(recording.response.status, { 'content-type': type, ...Object.fromEntries(headers) });
  const bytes = answerBytes(recording);
  const size = cut?.at(bytes) ?? bytes.length;
  for (let at = 0; at < size && !response.destroyed;) {
    const end = Math.min(size, at + sliceBytes(size));
    response.write(bytes.subarray(at, end));
    at = end;
    if (at < size) await (everyMs === 0 ? nextTurn() : delay(everyMs));
  }
  if (cut === undefined || cut.how === 'end') return void response.end();
  // A reset right behind the bytes would overtake them.
  await delay(20);
  if (cut.how === 'fin') response.socket?.end();
  else response.socket?.resetAndDestroy();
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}
