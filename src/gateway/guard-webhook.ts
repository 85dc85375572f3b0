/** A guard that is a service of the operator's: asked by one signed POST, answered by one JSON object. docs/guard-webhook.md is its contract. */
import type { GuardSettings } from '../config/snapshot.ts';
import type { Caller } from '../core/directory.ts';
import { GatewayError } from '../core/errors.ts';
import type { Endpoint } from '../core/target.ts';
import { OPEN_BRACE } from '../lib/ascii.ts';
import { type Span, readString, scanObject } from '../lib/json-scan.ts';
import { webhookHeaders } from '../lib/webhook-signature.ts';
import type { Send } from '../upstream/send.ts';
import { collect } from '../upstream/unary.ts';
import type { Exchange } from './exchange.ts';
import type { Guard, Judged, Verdict } from './guard.ts';

/** Beside the replacement itself. */
const ENVELOPE_BYTES = 64 * 1024;
/** What an answer may become; requests have the limit of all requests. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const MAX_MESSAGE_LENGTH = 500;

export function createWebhookGuard(settings: GuardSettings): Guard {
  const { origin, pathname } = new URL(settings.url);
  const endpoint: Endpoint = { baseUrl: origin, headers: {}, weight: 1 };
  return {
    name: settings.name,
    stages: settings.stages,
    appliesTo: (exchange) => concerns(settings, exchange),
    holdsStreams: settings.holdsStreams,
    onFailure: settings.onFailure,
    judge: (exchange, judged) => ask({ settings, endpoint, path: pathname }, exchange, judged),
  };
}

function concerns({ models, keys }: GuardSettings, exchange: Exchange): boolean {
  const { caller } = exchange;
  const name = modelNameOf(exchange) ?? '';
  const model =
    models === undefined || models.some((each) => (each.endsWith('*') ? name.startsWith(each.slice(0, -1)) : each === name));
  if (!model || keys === undefined) return model;
  if (caller === undefined) return false;
  // A child that its holder makes must not lead past what judges its parent.
  return [caller.key, ...caller.ancestors].some(({ id, name }) => keys.includes(id) || keys.includes(name));
}

/** Agents are models, whichever way they are asked. */
function modelNameOf({ resolved, agentWork, askedModel }: Exchange): string | undefined {
  return resolved?.name ?? (agentWork === undefined ? askedModel : `a2a/${agentWork.view.name}`);
}

interface Asked {
  settings: GuardSettings;
  endpoint: Endpoint;
  path: string;
}

async function ask({ settings, endpoint, path }: Asked, exchange: Exchange, judged: Judged): Promise<Verdict> {
  const { plane } = exchange;
  const body = questionBytes(exchange, judged);
  const message = { id: `${exchange.id}_${judged.stage}`, timestampS: Math.floor(plane.nowMs() / 1000), body };
  const sent: ReturnType<Send> = plane.send({
    endpoint,
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json', accept: 'application/json', ...webhookHeaders(settings.secret, message) },
    body,
    timeouts: {
      connectMs: settings.timeoutMs,
      firstByteMs: settings.timeoutMs,
      idleMs: settings.timeoutMs,
      totalMs: settings.timeoutMs,
    },
    stream: false,
  });
  exchange.abort = () => sent.abort();
  const answer = await sent.answer;
  if (answer.failed) throw answer.error;
  if (answer.status !== 200) {
    answer.body.abort();
    throw new GatewayError('upstream_error');
  }
  const maxBytes = ENVELOPE_BYTES + (judged.stage === 'request' ? exchange.line.snapshot.server.maxBodyBytes : MAX_ANSWER_BYTES);
  const reserve = (bytes: number): boolean => exchange.request.reserve(bytes);
  const collected = await collect(answer.body, { maxBytes, contentLength: undefined, reserve });
  if (!('whole' in collected)) {
    answer.body.abort();
    throw 'error' in collected ? collected.error : new GatewayError('upstream_bad_response');
  }
  return readVerdict(collected.whole, judged.form);
}

/** JSON goes in as it is: it was read by our rules, or it is what a client would get. */
function questionBytes(exchange: Exchange, { stage, bytes, form, cut }: Judged): Buffer {
  const told = JSON.stringify({ stage, exchange: describe(exchange), ...(cut === true && { cut }) });
  const body = form === 'json' && isJson(bytes, stage) ? bytes : Buffer.from(JSON.stringify(bytes.toString('utf8')));
  return Buffer.concat([Buffer.from(`${told.slice(0, -1)},"body":`), body, Buffer.from('}')]);
}

/** Requests are proved to be JSON before they come here; providers send what they like. */
function isJson(bytes: Buffer, stage: Judged['stage']): boolean {
  if (stage === 'request') return true;
  try {
    JSON.parse(bytes.toString('utf8'));
    return true;
  } catch {
    return false;
  }
}

/** What a guard learns of the exchange beside the body: who asks for what. No credential, no header. */
function describe(exchange: Exchange): object {
  const { id, request, surface, caller, stream, target, trace } = exchange;
  return {
    id,
    request_id: request.id,
    trace_id: trace.traceId,
    surface: surface.name,
    model: modelNameOf(exchange),
    stream,
    client_ip: request.clientIp,
    ...(caller !== undefined && describeCaller(caller)),
    provider: target?.provider,
    target: target?.id,
  };
}

function describeCaller({ key, principal, team, org }: Caller): object {
  return { key: key.id, key_name: key.name, principal: principal?.id, team: team?.id, org: org?.id, tags: key.tags };
}

/** Its `body` stands one level deeper than a body may be nested. */
const VERDICT_DEPTH = { maxDepth: 129 };

/** Throws where the answer is not in the form of docs/guard-webhook.md. A replacement is taken as it was written, to the digit. */
function readVerdict(bytes: Buffer, form: Judged['form']): Verdict {
  const scan = scanObject(bytes, VERDICT_DEPTH);
  if (!scan.ok) throw new Error('a guard answers one JSON object');
  const action = readString(bytes, scan.members.get('action'));
  if (action === 'allow') return { action };
  if (action === 'block') {
    const message = shown(readString(bytes, scan.members.get('message')) ?? '');
    return { action, ...(message !== '' && { message }) };
  }
  if (action === 'replace') return { action, bytes: replacement(bytes, scan.members.get('body'), form) };
  throw new Error('a guard answers allow, block or replace');
}

function replacement(bytes: Buffer, span: Span | undefined, form: Judged['form']): Buffer {
  const text = form === 'events' ? readString(bytes, span) : undefined;
  if (text !== undefined) return Buffer.from(text);
  if (form === 'json' && span !== undefined && bytes[span.valueStart] === OPEN_BRACE)
    return bytes.subarray(span.valueStart, span.valueEnd);
  throw new Error('a guard replaces an object by an object, and a stream by the text of one');
}

/** One line for a client: no control characters, no novels. */
function shown(message: string): string {
  return message
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, MAX_MESSAGE_LENGTH);
}
