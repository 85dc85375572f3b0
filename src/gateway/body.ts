import { GatewayError } from '../core/errors.ts';
import type { JsonObject } from '../dialects/dialect.ts';
import { type Refused, type Scanned, readBoolean, readString, scanObject } from '../lib/json-scan.ts';

/** A client's body: its bytes as they came, and where its members stand. It is parsed only when it is translated. */
export interface ClientBody {
  bytes: Buffer;
  scan: Scanned;
  model: string;
  stream: boolean;
  /** `stream_options.include_usage` of openai-chat. */
  asksForUsage: boolean;
}

/**
 * Reads what routing needs. Throws invalid_json, ambiguous_body (one that two readers could understand differently), too_deep,
 * invalid_request where `model` or `stream` is missing or of another type.
 */
export function readClientBody(bytes: Buffer): ClientBody {
  const scan = scanObject(bytes);
  if (!scan.ok) throw refusal(scan);
  const model = readString(bytes, scan.members.get('model'));
  if (model === undefined || model === '') throw wrongType('model', 'a non-empty string');
  const streamSpan = scan.members.get('stream');
  const stream = readBoolean(bytes, streamSpan) ?? false;
  if (streamSpan !== undefined && readBoolean(bytes, streamSpan) === undefined && !isNull(bytes, streamSpan.valueStart)) {
    throw wrongType('stream', 'true or false');
  }
  return { bytes, scan, model, stream, asksForUsage: stream && streamOptions(bytes, scan)['include_usage'] === true };
}

/** The whole body, parsed; the scan has already proved that it parses. */
export function parsedBody(body: ClientBody): JsonObject {
  return JSON.parse(body.bytes.toString('utf8')) as JsonObject;
}

/** `stream_options` as the client sent it, `{}` where it sent none or something else: that is the upstream's to judge. */
export function streamOptions(bytes: Buffer, scan: Scanned): JsonObject {
  const span = scan.members.get('stream_options');
  const value: unknown = span === undefined ? undefined : JSON.parse(bytes.toString('utf8', span.valueStart, span.valueEnd));
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

function isNull(bytes: Buffer, at: number): boolean {
  return bytes[at] === 0x6e;
}

function wrongType(param: string, expected: string): GatewayError {
  return new GatewayError('invalid_request', { details: { message: `\`${param}\` must be ${expected}`, param } });
}

const REFUSALS: Record<Refused['reason'], (refused: Refused) => GatewayError> = {
  invalid: ({ at }) => invalidJson(`The request body is not valid JSON (byte ${at})`),
  not_object: () => invalidJson('The request body must be a JSON object'),
  bom: () => ambiguous('it begins with a byte order mark'),
  utf8: () => invalidJson('The request body is not valid UTF-8'),
  duplicate_key: ({ key }) => ambiguous(`the member \`${key}\` stands in it twice`, key),
  forbidden_key: ({ key }) => ambiguous(`it has a member \`${key}\``, key),
  escaped_key: ({ at }) => ambiguous(`the member name at byte ${at} is written with escapes`),
  too_many_keys: () => ambiguous('it has more than 1,000 members'),
  too_deep: () => new GatewayError('too_deep', { details: { message: 'The request body is nested deeper than 128 levels' } }),
};

function refusal(refused: Refused): GatewayError {
  return REFUSALS[refused.reason](refused);
}

function invalidJson(message: string): GatewayError {
  return new GatewayError('invalid_json', { details: { message } });
}

function ambiguous(why: string, param?: string): GatewayError {
  const message = `The request body could be read in two ways: ${why}`;
  return new GatewayError('ambiguous_body', { details: { message, ...(param === undefined ? {} : { param }) } });
}
