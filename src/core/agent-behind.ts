/**
 * What is said on the two ways of a message to an agent that is a model: from the worker that was called to main, which keeps the tasks, and from main to a worker that
 * asks the model in the caller's name. Both lead over sockets of this process, which nobody else can reach.
 */
import { ERRORS, type ErrorCode, type ErrorDetails, GatewayError } from './errors.ts';

/** Where main has the agents that are models; nothing outside of this process answers to the name. */
export const MODEL_AGENTS_URL = 'http://models.invalid/model-agents';

/** Where a worker asks models for main. */
export const BEHIND_PATH = '/a2a/behind';

export const BEHIND = {
  /** Slot of the worker that was called, and asks. */
  worker: 'x-signalbox-worker',
  /** Whose conversation it is. */
  owner: 'x-signalbox-owner',
  agent: 'x-signalbox-agent',
  callerIp: 'x-signalbox-caller-ip',
  /** Percent-encoded. */
  endUser: 'x-signalbox-end-user',
  /** Of an answer: a GatewayError, as `writeError` has it. */
  error: 'x-signalbox-error',
} as const;

/** Of the caller: what proves who it is, and where the call has come through. They go all the way. */
export const CALLERS_HEADERS = [
  'authorization',
  'x-api-key',
  'x-goog-api-key',
  'api-key',
  'x-signalbox-key',
  'baggage',
  'traceparent',
  'tracestate',
  'x-request-id',
] as const;

/** The socket of a worker beside the control plane's. No name is longer than that one's, which has been found to fit. */
export function workerSocketPath(controlSocketPath: string, worker: number): string {
  return controlSocketPath.replace(/control\.sock$/, `w${worker}.sock`);
}

const MAX_MESSAGE = 1_000;

export function writeError({ code, message, details }: GatewayError): string {
  const { retryAfterS, scope, shouldRetry } = details;
  return encodeURIComponent(JSON.stringify({ code, message: message.slice(0, MAX_MESSAGE), retryAfterS, scope, shouldRetry }));
}

/** Undefined: it is none. */
export function readError(written: unknown): GatewayError | undefined {
  if (typeof written !== 'string') return undefined;
  const { code, ...details } = JSON.parse(decodeURIComponent(written)) as ErrorDetails & { code: ErrorCode };
  return Object.hasOwn(ERRORS, code) ? new GatewayError(code, { details }) : undefined;
}
