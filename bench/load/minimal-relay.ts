/** Baseline: node:http in front, undici behind, nothing between: no keys, no facts, no cost. `minimal-relay.ts UPSTREAM_PORT`; prints its port. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { Pool } from 'undici';

const pool = new Pool(`http://127.0.0.1:${process.argv[2]}`, { connections: 1024, headersTimeout: 0, bodyTimeout: 0 });
const server = createServer((request, response) => {
  void (async () => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const headers = { 'content-type': 'application/json', authorization: 'Bearer upstream' };
    const answer = await pool.request({ path: request.url!, method: 'POST', headers, body: Buffer.concat(chunks) });
    response.writeHead(answer.statusCode, { 'content-type': String(answer.headers['content-type']) });
    answer.body.pipe(response);
  })();
});
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
