/** Refusals of the edge, before a call to an agent was read: as JSON-RPC errors, to a request whose id nobody knows. */
import { rpcError, tell } from '../../agents/a2a/protocol.ts';
import type { ErrorDialect } from '../../dialects/dialect.ts';

export const encodeEdgeError: ErrorDialect['encode'] = (error) => ({
  jsonrpc: '2.0',
  id: null,
  error: rpcError(tell(error), '1.0'),
});
