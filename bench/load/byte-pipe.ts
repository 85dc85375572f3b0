/** Baseline: bytes from socket to socket, no HTTP at all. The least a proxy in Node can cost. `byte-pipe.ts UPSTREAM_PORT`; prints its port. */
import { type AddressInfo, connect, createServer } from 'node:net';

const upstreamPort = Number(process.argv[2]);
const server = createServer({ noDelay: true }, (client) => {
  const upstream = connect({ port: upstreamPort, host: '127.0.0.1', noDelay: true });
  client.pipe(upstream).pipe(client);
  client.on('error', () => upstream.destroy());
  upstream.on('error', () => client.destroy());
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
