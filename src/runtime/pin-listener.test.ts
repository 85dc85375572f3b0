import { expect, test } from 'vitest';

import type { ServerSettings, Snapshot } from '../config/snapshot.ts';
import { pinListener } from './pin-listener.ts';

const TLS = { cert: 'old', key: 'old' };
const configured = { host: '127.0.0.1', port: 0, workers: 2, drainS: 300 } as ServerSettings;
const bound = { ...configured, port: 41234 };

function reloaded(server: Partial<ServerSettings>): Snapshot {
  return { version: 2, hash: 'new', server: { ...configured, ...server } } as Snapshot;
}

test('a port of 0 that was bound to another one is no change', () => {
  const { snapshot, ignored } = pinListener(reloaded({ drainS: 10 }), { configured, bound });
  expect(ignored).toEqual([]);
  expect(snapshot.server).toEqual({ ...bound, drainS: 10 });
});

test('host, port and workers stay as they are bound, and are named', () => {
  const { snapshot, ignored } = pinListener(reloaded({ host: '0.0.0.0', port: 80, workers: 4 }), { configured, bound });
  expect(ignored).toEqual(['server.host', 'server.port', 'server.workers']);
  expect(snapshot.server).toEqual(bound);
});

test('TLS can neither be switched on nor off, its certificate may change', () => {
  expect(pinListener(reloaded({ tls: TLS }), { configured, bound })).toMatchObject({ ignored: ['server.tls'] });
  expect(pinListener(reloaded({ tls: TLS }), { configured, bound }).snapshot.server.tls).toBeUndefined();
  const withTls = { configured: { ...configured, tls: TLS }, bound: { ...bound, tls: TLS } };
  expect(pinListener(reloaded({}), withTls)).toMatchObject({ ignored: ['server.tls'], snapshot: { server: { tls: TLS } } });
  const renewed = { cert: 'new', key: 'new' };
  expect(pinListener(reloaded({ tls: renewed }), withTls)).toMatchObject({ ignored: [], snapshot: { server: { tls: renewed } } });
});
