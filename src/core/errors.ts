/**
 * Every way an exchange can fail, in one closed table.
 *
 * A dialect maps a code to its own wire shape (`dialects/<name>/error.ts`); nothing else decides statuses.
 * docs/errors.md is generated from this table.
 *
 * `retry` tells whether the *client* gains by asking again: `never`, `later` (after Retry-After), or `now`.
 */
import type { Scope } from './rules.ts';

export const ERRORS = {
  invalid_json: { status: 400, retry: 'never', message: 'The request body is not valid JSON' },
  invalid_request: { status: 400, retry: 'never', message: 'The request is not valid' },
  unsupported_parameter: { status: 400, retry: 'never', message: 'A parameter cannot be honoured by the target of this model' },
  ambiguous_body: { status: 400, retry: 'never', message: 'The request body could be read in two ways' },
  unsupported_content_type: { status: 400, retry: 'never', message: 'The content type is not supported' },
  unsupported_encoding: { status: 400, retry: 'never', message: 'Encoded request bodies are not accepted' },
  bad_host: { status: 400, retry: 'never', message: 'The Host header is missing or malformed' },
  bad_target: { status: 400, retry: 'never', message: 'The request target is malformed' },
  bad_header: { status: 400, retry: 'never', message: 'A request header is malformed or repeated' },
  guard_blocked: { status: 400, retry: 'never', message: 'A guard of the operator refused this' },
  sign_on_failed: { status: 401, retry: 'now', message: 'Signing on did not work; begin again at /oidc/login' },
  missing_key: { status: 401, retry: 'never', message: 'No key was presented' },
  invalid_key: { status: 401, retry: 'never', message: 'The key is not known' },
  conflicting_keys: { status: 401, retry: 'never', message: 'Two different keys were presented' },
  admin_key_on_inference: {
    status: 401,
    retry: 'never',
    message: 'The admin key and management tokens manage; they do not call models. Use a virtual key',
  },
  forbidden: { status: 403, retry: 'never', message: 'This key may not do that' },
  budget_unenforceable: {
    status: 403,
    retry: 'never',
    message: 'A hard budget cannot hold for this request, which has no price',
  },
  model_not_found: { status: 404, retry: 'never', message: 'The model does not exist or this key has no access to it' },
  agent_not_found: { status: 404, retry: 'never', message: 'The agent does not exist or this key has no access to it' },
  agent_disabled: { status: 403, retry: 'never', message: 'The agent is disabled: it takes no new work' },
  hop_limit: { status: 400, retry: 'never', message: 'This call has come through too many agents' },
  not_found: { status: 404, retry: 'never', message: 'There is nothing at this path' },
  method_not_allowed: { status: 405, retry: 'never', message: 'This path does not accept this method' },
  conflict: { status: 409, retry: 'never', message: 'Something of that identity is there already, or has changed in between' },
  precondition_failed: { status: 412, retry: 'never', message: 'It is no longer what `If-Match` names' },
  precondition_required: {
    status: 428,
    retry: 'never',
    message: 'Say by `If-Match` which version you have read: the ETag of the answer to GET',
  },
  request_timeout: { status: 408, retry: 'now', message: 'The request was not received in time' },
  body_too_large: { status: 413, retry: 'never', message: 'The request body is too large' },
  too_deep: { status: 400, retry: 'never', message: 'The request body is nested too deeply' },
  headers_too_large: { status: 431, retry: 'never', message: 'The request headers are too large or too many' },
  client_gone: { status: 499, retry: 'never', message: 'The client left before the answer' },
  internal: { status: 500, retry: 'never', message: 'Signalbox failed to handle this request' },
  not_supported_here: { status: 400, retry: 'never', message: 'The provider behind this model does not speak this API' },
  upstream_error: { status: 502, retry: 'now', message: 'The upstream answered with an error' },
  agent_error: { status: 502, retry: 'never', message: 'The agent answered with an error of its own' },
  upstream_auth: { status: 502, retry: 'never', message: 'The upstream refused the credential configured for it' },
  upstream_model: { status: 502, retry: 'never', message: 'The upstream does not know the configured model' },
  upstream_bad_response: { status: 502, retry: 'now', message: 'The upstream sent an answer that cannot be read' },
  upstream_unreachable: { status: 502, retry: 'now', message: 'The upstream could not be reached' },
  upstream_incomplete: { status: 502, retry: 'now', message: 'The upstream ended its answer before it was complete' },
  egress_refused: { status: 502, retry: 'never', message: 'The egress policy refused the upstream address' },
  overloaded: { status: 503, retry: 'later', message: 'Signalbox is at capacity' },
  store_down: { status: 503, retry: 'later', message: 'The store cannot be used now' },
  draining: { status: 503, retry: 'later', message: 'Signalbox is shutting down' },
  guard_unavailable: { status: 503, retry: 'later', message: 'A guard that must be asked first did not answer' },
  identity_unavailable: { status: 503, retry: 'later', message: 'The issuer of the token cannot be asked for its keys' },
  no_target: { status: 503, retry: 'later', message: 'No target of this model is available' },
  agent_unavailable: { status: 503, retry: 'later', message: 'The agent is not available' },
  task_owner_unavailable: { status: 503, retry: 'later', message: 'The replica that has the task cannot be reached' },
  upstream_overloaded: { status: 503, retry: 'later', message: 'The upstream is overloaded' },
  budget_reserved: { status: 429, retry: 'later', message: 'What is left of a budget is reserved by requests under way' },
  budget_exceeded: { status: 429, retry: 'never', message: 'A budget is used up' },
  rate_limited: { status: 429, retry: 'later', message: 'A limit of the operator is reached' },
  upstream_rate_limited: { status: 429, retry: 'later', message: 'The upstream refused for its own rate limit' },
  upstream_timeout: { status: 504, retry: 'now', message: 'The upstream did not answer in time' },
} as const satisfies Record<string, { status: number; retry: 'never' | 'later' | 'now'; message: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** What a reader may be shown beside the message. Never a body, never a credential. */
export interface ErrorDetails {
  /** Replaces the table's sentence where a more exact one is known. */
  message?: string;
  /** The offending parameter, as a path in the caller's own body (`messages[3].content`). */
  param?: string;
  model?: string;
  provider?: string;
  retryAfterS?: number;
  /** Whose limit or budget refused. */
  scope?: Scope;
  /** False: tell clients that retry by themselves (`x-should-retry`) not to. */
  shouldRetry?: boolean;
  /** Everything that is wrong with a request to the control plane, place by place. */
  issues?: readonly { param: string; message: string }[];
  /** Up to three names the caller may have meant. */
  nearest?: readonly string[];
  /** HTTP status the upstream gave, and its own code and type, for the log and for what follows from them. */
  upstreamStatus?: number;
  upstreamCode?: string;
  upstreamType?: string;
}

/** The only error that Signalbox throws on purpose. */
export class GatewayError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, options: { cause?: unknown; details?: ErrorDetails } = {}) {
    super(options.details?.message ?? ERRORS[code].message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'GatewayError';
    this.code = code;
    this.details = options.details ?? {};
  }

  get status(): number {
    return ERRORS[this.code].status;
  }
}

/** Anything thrown, as a GatewayError: the boundary of the data plane answers nothing else. */
export function toGatewayError(thrown: unknown): GatewayError {
  return thrown instanceof GatewayError ? thrown : new GatewayError('internal', { cause: thrown });
}
