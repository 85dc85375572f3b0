/** A real HTTP CONNECT proxy for tests: knows names no resolver knows, and remembers what it was asked. */
import { type AddressInfo, connect, createServer } from 'node:net';

export interface ConnectProxy {
  url: string;
  /** Authorities asked for, and the credentials they came with. */
  asked: { authority: string; authorization: string | undefined }[];
  close: () => Promise<void>;
}

/** `hosts`: authority → port on loopback. `refuse`: answers that status instead. */
export async function startConnectProxy(hosts: Record<string, number>, refuse?: number): Promise<ConnectProxy> {
  const asked: ConnectProxy['asked'] = [];
  const server = createServer((client) => {
    client.on('error', () => {});
    let text = '';
    const read = (bytes: Buffer): void => {
      text += bytes.toString('latin1');
      if (!text.includes('\r\n\r\n')) return;
      client.off('data', read);
      const authority = /^CONNECT (\S+) HTTP\/1\.1\r\n/.exec(text)?.[1] ?? '';
      asked.push({ authority, authorization: /proxy-authorization: (.*)\r\n/i.exec(text)?.[1] });
      const port = hosts[authority];
      if (refuse !== undefined || port === undefined) {
        client.end(`HTTP/1.1 ${refuse ?? 502} No\r\ncontent-length: 0\r\n\r\n`);
        return;
      }
      const target = connect(port, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n');
        client.pipe(target).pipe(client);
      });
      target.on('error', () => client.destroy());
      client.on('close', () => target.destroy());
    };
    client.on('data', read);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
