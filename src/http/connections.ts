/** Which connections are open, and what is in flight on each: what Node's own idle list cannot tell without cutting answers short. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** A response that has not closed yet. */
export interface Live {
  response: ServerResponse;
  /** Called once when the response has closed: whole, or because the client left. */
  ended: (whole: boolean) => void;
}

export interface Connection {
  socket: Socket;
  address: string;
  live: Set<Live>;
  /** An answer that closes the connection is on its way: what arrives behind it is not read as a request any more. */
  closing: boolean;
  /** `socket.bytesRead` when the last response closed: no more since means that nothing has been begun. */
  bytesAtRest: number;
}

export interface Connections {
  /** The connection of this socket, known from now until it closes. */
  of(socket: Socket): Connection;
  /** Counts a response from now until it closes; `onEnd` follows its `ended`. */
  begin(connection: Connection, response: ServerResponse): Live;
  inFlight(): number;
  /** From now on every answer says `Connection: close`, where it still can. */
  refuseReuse(): void;
  /** Destroys those with nothing in flight and nothing begun. */
  closeIdle(): void;
  closeAll(): void;
}

const IGNORE = (): void => undefined;

export function createConnections(onEnd: () => void): Connections {
  const open = new Map<Socket, Connection>();
  let inFlight = 0;
  let reusable = true;

  function adopt(socket: Socket): Connection {
    const { bytesRead: bytesAtRest, remoteAddress: address = '' } = socket;
    const connection: Connection = { socket, address, live: new Set(), closing: false, bytesAtRest };
    open.set(socket, connection);
    socket.once('close', () => {
      open.delete(socket);
      // Node emits no `close` for responses queued behind another (pipelining), nor for one that ends while its socket goes.
      for (const live of connection.live) end(connection, live);
    });
    return connection;
  }

  function end(connection: Connection, live: Live): void {
    if (!connection.live.delete(live)) return;
    connection.bytesAtRest = connection.socket.bytesRead;
    inFlight -= 1;
    live.ended(live.response.writableFinished);
    onEnd();
  }

  return {
    of: (socket) => open.get(socket) ?? adopt(socket),
    begin(connection, response) {
      const live: Live = { response, ended: IGNORE };
      connection.live.add(live);
      inFlight += 1;
      if (!reusable) response.shouldKeepAlive = false;
      response.on('close', () => end(connection, live));
      return live;
    },
    inFlight: () => inFlight,
    refuseReuse() {
      reusable = false;
      for (const { live } of open.values()) {
        for (const { response } of live) if (!response.headersSent) response.shouldKeepAlive = false;
      }
    },
    closeIdle() {
      for (const { socket, live, bytesAtRest } of open.values()) {
        if (live.size === 0 && socket.bytesRead === bytesAtRest) socket.destroy();
      }
    },
    closeAll() {
      for (const { socket } of open.values()) socket.destroy();
    },
  };
}
