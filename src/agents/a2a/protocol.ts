/** Errors of the protocol, by JSON-RPC code; how each is told over JSON-RPC and REST, in both versions. Sources: A2A 1.0.1 §5.4, A2A 0.3.0 §8. */
import { ERRORS, type ErrorCode, type GatewayError } from '../../core/errors.ts';
import type { ProtocolVersion } from './methods.ts';

export const PROTOCOL_ERRORS = {
  [-32700]: { reason: 'PARSE_ERROR', status: 400, grpc: 'INVALID_ARGUMENT' },
  [-32600]: { reason: 'INVALID_REQUEST', status: 400, grpc: 'INVALID_ARGUMENT' },
  [-32601]: { reason: 'METHOD_NOT_FOUND', status: 404, grpc: 'UNIMPLEMENTED' },
  [-32602]: { reason: 'INVALID_PARAMS', status: 400, grpc: 'INVALID_ARGUMENT' },
  [-32603]: { reason: 'INTERNAL', status: 500, grpc: 'INTERNAL' },
  [-32001]: { reason: 'TASK_NOT_FOUND', status: 404, grpc: 'NOT_FOUND' },
  [-32002]: { reason: 'TASK_NOT_CANCELABLE', status: 400, grpc: 'FAILED_PRECONDITION' },
  [-32003]: { reason: 'PUSH_NOTIFICATION_NOT_SUPPORTED', status: 400, grpc: 'FAILED_PRECONDITION' },
  [-32004]: { reason: 'UNSUPPORTED_OPERATION', status: 400, grpc: 'FAILED_PRECONDITION' },
  [-32005]: { reason: 'CONTENT_TYPE_NOT_SUPPORTED', status: 400, grpc: 'INVALID_ARGUMENT' },
  [-32006]: { reason: 'INVALID_AGENT_RESPONSE', status: 502, grpc: 'INTERNAL' },
  [-32007]: { reason: 'EXTENDED_AGENT_CARD_NOT_CONFIGURED', status: 400, grpc: 'FAILED_PRECONDITION' },
  [-32008]: { reason: 'EXTENSION_SUPPORT_REQUIRED', status: 400, grpc: 'FAILED_PRECONDITION' },
  [-32009]: { reason: 'VERSION_NOT_SUPPORTED', status: 400, grpc: 'FAILED_PRECONDITION' },
} as const;
export type ProtocolCode = keyof typeof PROTOCOL_ERRORS;

/** An error that the protocol has a code for: the agent's, or ours in the agent's stead. */
export class ProtocolError extends Error {
  readonly code: number;
  /** As the agent sent it, in its own version. */
  readonly data: unknown;

  constructor(code: number, message: string, data?: unknown) {
    super(message);
    this.name = 'ProtocolError';
    this.code = code;
    this.data = data;
  }
}

export function taskNotFound(): ProtocolError {
  return new ProtocolError(-32001, 'Task not found');
}

/** How an error is told. `body` of JSON-RPC is the `error` member. */
export interface Told {
  status: number;
  code: number;
  reason: string;
  message: string;
  grpc: string;
  domain: string;
  metadata: Readonly<Record<string, string>>;
}

const OWN_DOMAIN = 'signalbox';
const PROTOCOL_DOMAIN = 'a2a-protocol.org';
const NO_NAME = { reason: 'INTERNAL', status: 500, grpc: 'INTERNAL' };

/** An error of the gateway keeps its HTTP status; one of the protocol has none of its own over JSON-RPC. */
export function tell(error: GatewayError | ProtocolError): Told {
  if (error instanceof ProtocolError) {
    const { reason, status, grpc } = PROTOCOL_ERRORS[error.code as ProtocolCode] ?? NO_NAME;
    return { status, code: error.code, reason, message: error.message, grpc, domain: PROTOCOL_DOMAIN, metadata: {} };
  }
  // The protocol has a word of its own for it.
  if (error.code === 'unsupported_content_type') return tell(new ProtocolError(-32005, error.message));
  const { status, details } = error;
  return {
    status,
    code: CODES[error.code] ?? (status >= 500 ? -32603 : status === 400 || status === 413 ? -32600 : -32000),
    reason: error.code.toUpperCase(),
    message: error.message,
    grpc: GRPC[status] ?? 'INTERNAL',
    domain: OWN_DOMAIN,
    metadata: {
      ...(details.retryAfterS !== undefined && { retryAfterS: String(details.retryAfterS) }),
      ...(details.scope !== undefined && { scope: details.scope }),
    },
  };
}

const CODES: { readonly [Code in ErrorCode]?: number } = {
  invalid_json: -32700,
  not_found: -32601,
  method_not_allowed: -32601,
};
const GRPC: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  405: 'UNIMPLEMENTED',
  409: 'ABORTED',
  413: 'INVALID_ARGUMENT',
  429: 'RESOURCE_EXHAUSTED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

/** JSON-RPC's `error` member. 1.0 wants a list of ErrorInfo (§9.5), 0.3 an object of any kind; what the agent itself said stays where it fits. */
export function rpcError(told: Told, version: ProtocolVersion, agentsData?: unknown): object {
  const { code, message } = told;
  if (version === '1.0') return { code, message, data: Array.isArray(agentsData) ? agentsData : [errorInfo(told)] };
  if (agentsData !== undefined && !Array.isArray(agentsData)) return { code, message, data: agentsData };
  return told.domain === OWN_DOMAIN ? { code, message, data: { reason: told.reason, ...told.metadata } } : { code, message };
}

/** The body of a REST answer (1.0: §11.6; 0.3: bare). */
export function restError(told: Told, version: ProtocolVersion, agentsData?: unknown): object {
  if (version === '0.3') return rpcError(told, version, agentsData);
  const details = Array.isArray(agentsData) ? agentsData : [errorInfo(told)];
  return { error: { code: told.status, status: told.grpc, message: told.message, details } };
}

function errorInfo({ reason, domain, metadata }: Told): object {
  return { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain, metadata };
}

/** For waiting: whether asking again later helps. */
export function retryAfterOf(error: GatewayError | ProtocolError): number | undefined {
  if (error instanceof ProtocolError) return undefined;
  return error.details.retryAfterS ?? (ERRORS[error.code].retry === 'later' ? 1 : undefined);
}
