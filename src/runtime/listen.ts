/** The public port, seen from main: tried out alone, then left to the workers. */
import { createServer } from 'node:net';

import { StartError } from './start-error.ts';

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not listen there',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'that host name is not known',
};

/**
 * Binds the port exclusively and lets it go: among the workers it will be shared, so only this finds out that another process has it.
 * Answers the port, which the system chose where 0 was asked. Throws StartError.
 */
export function probePort(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === 'EADDRINUSE';
      const reason = REASONS[error.code ?? ''] ?? error.code;
      reject(new StartError(isTaken ? `port ${port} is in use on ${host}` : `cannot listen on ${host} port ${port}: ${reason}`));
    });
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : port;
      server.close(() => resolve(bound));
    });
  });
}

/** What the ready line names. */
export function publicUrl(server: { host: string; port: number; tls?: object }): string {
  const host = server.host.includes(':') && !server.host.startsWith('[') ? `[${server.host}]` : server.host;
  return `${server.tls === undefined ? 'http' : 'https'}://${host}:${server.port}`;
}
