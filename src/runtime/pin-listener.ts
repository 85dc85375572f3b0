/** What of a reloaded configuration cannot come into force while the process lives: the sockets are bound and the threads are started. */
import type { ServerSettings, Snapshot } from '../config/snapshot.ts';

const PINNED = ['host', 'port', 'workers'] as const;

/**
 * `next` as it can be applied: what is bound stays as it is. `ignored` names the keys that were changed in vain, compared with the last
 * `configured` settings, since a port of 0 is bound to another one. Certificates may change; whether there is TLS may not.
 */
export function pinListener(
  next: Snapshot,
  { configured, bound }: { configured: ServerSettings; bound: ServerSettings },
): { snapshot: Snapshot; ignored: string[] } {
  const ignored: string[] = PINNED.filter((key) => next.server[key] !== configured[key]).map((key) => `server.${key}`);
  const { host, port, workers, tls } = bound;
  const server: ServerSettings = { ...next.server, host, port, workers };
  if ((next.server.tls === undefined) !== (tls === undefined)) {
    ignored.push('server.tls');
    delete server.tls;
    if (tls !== undefined) server.tls = tls;
  }
  return { snapshot: { ...next, server }, ignored };
}

/** `[::1]` as node:net wants it. */
export function bareHost(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}
