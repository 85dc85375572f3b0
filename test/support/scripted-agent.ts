/** An agent over HTTP that does what a test says: JSON-RPC of 1.0, a card if wished, every request noted. */
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ScriptedCall {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  /** Of JSON-RPC. */
  rpc?: { id: unknown; method: string; params: Record<string, never> };
}

export type Script = (call: ScriptedCall, response: ServerResponse) => void | Promise<void>;

export interface ScriptedAgent {
  url: string;
  calls: ScriptedCall[];
  /** Requests of JSON-RPC, by method. */
  asked: (method?: string) => ScriptedCall[];
  play: (script: Script) => void;
  close: () => Promise<void>;
  /** Closes the listener at once; `open` brings it back on the same port. */
  shut: () => Promise<void>;
  open: () => Promise<void>;
}

export async function startScriptedAgent(script: Script): Promise<ScriptedAgent> {
  let current = script;
  const calls: ScriptedCall[] = [];
  let server: Server;
  let port = 0;
  const open = async (): Promise<void> => {
    server = createServer((request, response) => void take(request, response));
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
  };
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const call: ScriptedCall = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      ...(text.startsWith('{') && { rpc: JSON.parse(text) as NonNullable<ScriptedCall['rpc']> }),
    };
    calls.push(call);
    response.on('error', () => undefined);
    await current(call, response);
  };
  const shut = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  await open();
  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    asked: (method) => calls.filter(({ rpc }) => rpc !== undefined && (method === undefined || rpc.method === method)),
    play: (next) => {
      current = next;
    },
    close: shut,
    shut,
    open,
  };
}

export function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

/** The answer to a call, in its envelope. */
export function result({ rpc }: ScriptedCall, response: ServerResponse, value: unknown): void {
  json(response, 200, { jsonrpc: '2.0', id: rpc?.id, result: value });
}

export function failure({ rpc }: ScriptedCall, response: ServerResponse, code: number, message = 'no'): void {
  json(response, 200, { jsonrpc: '2.0', id: rpc?.id, error: { code, message } });
}

export function taskOf(id: string, state = 'TASK_STATE_COMPLETED', more: object = {}): object {
  return { id, contextId: `context-of-${id}`, status: { state }, ...more };
}

/** Begins a stream; answers how to send an event of it. */
export function stream({ rpc }: ScriptedCall, response: ServerResponse): (value: unknown) => void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  return (value) => void response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id: rpc?.id, result: value })}\n\n`);
}

/** A card of 1.0 that leads to the agent itself. */
export function cardAt(url: string, more: object = {}): object {
  return {
    name: 'scripted',
    description: 'Of the tests',
    version: '1',
    supportedInterfaces: [{ url: `${url}/rpc`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
    capabilities: { streaming: true },
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [],
    ...more,
  };
}
