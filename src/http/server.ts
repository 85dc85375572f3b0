/** The public listener: from a socket to the route table, and its life from `listen` over `drain` to `close`. */
import { chmodSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Server as TlsServer } from 'node:https';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { GatewayError } from '../core/errors.ts';
import { type Connection, type Connections, createConnections } from './connections.ts';
import { createDispatcher } from './dispatch.ts';
import type { Edge, EdgeOptions } from './edge.ts';
import { isLoopbackHost } from './host.ts';
import { applySettings, bind, createNodeServer } from './node-server.ts';
import { answerRaw, parserFault } from './refuse.ts';
import { createStateMaker, type EdgeState } from './state.ts';

type NodeServer = ReturnType<typeof createNodeServer>;

/**
 * Everything between a socket and a handler: see `EdgeOptions` for what is handed in and `Edge` for what it does.
 * Settings are read anew on each connection and each request, so a reload needs no call; only TLS on or off needs a new edge.
 * Throws on a faulty route table, trusted proxy range or certificate.
 */
export function createEdge(options: EdgeOptions): Edge {
  const server = createNodeServer(options.settings());
  const settings = followSettings(options, server);
  let drained: PromiseWithResolvers<void> | undefined;

  const connections = createConnections(() => {
    if (drained === undefined) return;
    // After the turn in which Node detaches the response from its socket.
    setImmediate(() => connections.closeIdle());
    if (connections.inFlight() === 0) drained.resolve();
  });
  receiveRequests({ options, server, connections, currentState: () => settings.current() });
  answerBrokenConnections({ options, server, connections });

  return {
    async listen({ host, port, reusePort }) {
      settings.boundTo(host);
      await bind(server, { host, port, reusePort: reusePort === true });
      const bound = server.address() as AddressInfo;
      return { host: bound.address, port: bound.port };
    },
    async listenOn(path) {
      await bind(server, { path });
      chmodSync(path, 0o600);
    },
    drain() {
      if (drained !== undefined) return drained.promise;
      drained = Promise.withResolvers<void>();
      // Not Node's own close: it destroys connections whose answer is ended but not yet flushed, and so cuts answers to slow readers short.
      NetServer.prototype.close.call(server);
      connections.refuseReuse();
      connections.closeIdle();
      if (connections.inFlight() === 0) drained.resolve();
      return drained.promise;
    },
    close() {
      return new Promise((resolve) => {
        server.close(() => resolve());
        connections.closeAll();
        server.closeAllConnections();
      });
    },
    inFlight: () => connections.inFlight(),
  };
}

/** The compiled settings, made anew when the snapshot's object changes or the bound address becomes known. */
function followSettings(options: EdgeOptions, server: NodeServer) {
  const makeState = createStateMaker(options);
  let loopbackOnly = true;
  let state = makeState(options.settings(), loopbackOnly);
  return {
    current(): EdgeState {
      const settings = options.settings();
      if (settings !== state.settings) {
        applySettings(server, settings, state.settings);
        state = makeState(settings, loopbackOnly);
      }
      return state;
    },
    boundTo(host: string): void {
      loopbackOnly = isLoopbackHost(host);
      state = makeState(options.settings(), loopbackOnly);
    },
  };
}

interface Parts {
  options: EdgeOptions;
  server: NodeServer;
  connections: Connections;
}

function receiveRequests({ options, server, connections, currentState }: Parts & { currentState: () => EdgeState }): void {
  const dispatch = createDispatcher(options);

  function receive(raw: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    // Read from a socket that has gone, or pipelined behind an answer that closes the connection.
    if (raw.socket.destroyed) return;
    const connection = connections.of(raw.socket);
    if (connection.closing) return;
    const live = connections.begin(connection, response);
    dispatch({ raw, response, connection, live, expectsContinue }, currentState());
  }

  server.on('request', (raw, response) => receive(raw, response, false));
  server.on('checkContinue', (raw, response) => receive(raw, response, true));
  // RFC 9110 §10.1.1: an expectation other than 100-continue may be ignored.
  server.on('checkExpectation', (raw, response) => receive(raw, response, false));
  // Before the TLS handshake, so that a new certificate is used from the next connection on.
  server.on('connection', currentState);
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => connections.of(socket));
}

/** What Node hands over without a response object: broken or late requests, and CONNECT. */
function answerBrokenConnections({ options, server, connections }: Parts): void {
  function answerAndClose(socket: Duplex, error: GatewayError): void {
    const requestId = options.newRequestId();
    options.onRefused?.({ requestId, route: undefined, error });
    answerRaw(socket, { error, requestId, body: options.errors('plain')(error, requestId) });
  }

  server.on('connect', (_raw, socket) => answerAndClose(socket, new GatewayError('method_not_allowed')));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (socket.destroyed) return;
    const connection = connections.of(socket as Socket);
    if (connection.closing) {
      // The parser complains again about every byte after the first fault; only the client's own end ends the linger.
      if (socket.readableEnded) socket.destroy();
      return;
    }
    connection.closing = true;
    if (socket.writable && isParserFault(error.code) && mayAnswerRaw(connection)) answerAndClose(socket, parserFault(error.code));
    else socket.destroy();
  });
}

/** Not a reset, nor a failed TLS handshake: there HTTP has not begun. */
function isParserFault(code = ''): boolean {
  return code.startsWith('HPE_') || code.startsWith('ERR_HTTP_');
}

/** A raw answer may not land inside another one: only where nothing is in flight, or one exchange that has said nothing yet. */
function mayAnswerRaw({ live }: Connection): boolean {
  if (live.size > 1) return false;
  for (const { response } of live) if (response.headersSent) return false;
  return true;
}
