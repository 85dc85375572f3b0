/** The head of a server-sent event stream. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Sends the head at once, so that the client knows it is served while the model still thinks. `no-transform` and
 * `x-accel-buffering` keep compressing and buffering proxies from holding events back.
 */
export function startSse(response: ServerResponse, headers: OutgoingHttpHeaders): void {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
    ...headers,
  });
  // An event that is written in this same turn leaves in the same packet as the head; the cork ends with the turn.
  const { socket } = response;
  socket?.cork();
  response.flushHeaders();
  if (socket !== null) process.nextTick(uncork, socket);
}

function uncork(socket: Socket): void {
  socket.uncork();
}
