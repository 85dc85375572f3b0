/** Every recording of a dialect that is relayed, through a running Signalbox: what goes up, what comes back, what is booked. */
import { calcPrice } from '@pydantic/genai-prices';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { catalogRow } from '../../src/providers/catalog.ts';
import { type Reply, ask, inParallel, jsonOf } from '../support/ask.ts';
import { type ExchangeLog, type LogLine, exchangeLog } from '../support/exchange-log.ts';
import { type RecordedExchange, describeRecorded, readRecordings } from '../support/recordings.ts';
import { recordedFinish, recordedUsage } from '../support/recorded-usage.ts';
import {
  AT_ONCE,
  type Pace,
  type ReplayRequest,
  type ReplayUpstream,
  answerBytes,
  startReplayUpstream,
} from '../support/replay-upstream.ts';
import { type Signalbox, startSignalbox } from '../support/signalbox.ts';

const CLIENT_KEY = 'client-key-canary-0123456789';
const credentialOf = (id: string): string => `upstream-credential-of-${id}`;

const PATHS: Readonly<Record<string, string>> = {
  'openai.chat': '/v1/chat/completions',
  'openai.responses': '/v1/responses',
  'openai.embeddings': '/v1/embeddings',
  'anthropic.messages': '/v1/messages',
};
/** Where the catalog has another word. */
const TYPES: Readonly<Record<string, string>> = { 'llama-cpp': 'llamacpp' };
/** The providers under the price list's names; who is missing here has no list price. */
const PRICED_AS: Readonly<Record<string, string>> = {
  openai: 'openai',
  anthropic: 'anthropic',
  azure: 'azure',
  deepseek: 'deepseek',
  groq: 'groq',
  mistral: 'mistral',
  openrouter: 'openrouter',
  xai: 'x-ai',
  together: 'together',
  perplexity: 'perplexity',
  zai: 'zai',
};

interface Case {
  id: string;
  recording: RecordedExchange;
  type: string;
  path: string;
  upstreamModel: string;
  usage: ReturnType<typeof recordedUsage>;
  /** USD by the list's own arithmetic; undefined where it knows no price, or the answer no usage. */
  costUsd: number | undefined;
}

function caseOf(recording: RecordedExchange): Case[] {
  const path = PATHS[recording.endpoint];
  if (path === undefined) return [];
  const { id, provider, request, response } = recording;
  // One request names a stored prompt instead of a model; the gateway routes by model, so its client must name one.
  const upstreamModel = String(request.body?.['model'] ?? response.body?.['model']);
  const usage = recordedUsage(recording);
  const providerId = PRICED_AS[provider];
  const priced = usage !== undefined && providerId !== undefined;
  const price = priced ? calcPrice(usage, upstreamModel, { providerId }) : undefined;
  const query = /\?.*$/.exec(request.path)?.[0] ?? '';
  const type = TYPES[provider] ?? provider;
  return [{ id, recording, type, path: path + query, upstreamModel, usage, costUsd: price?.total_price }];
}

const SEED = 20_261_122;
/** Deterministic, so that a failing slice can be cut again. */
function randomSizes(most: number): () => number {
  let state = SEED;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return 1 + (state % most);
  };
}

const PACES: Readonly<Record<string, Pace>> = {
  'at once': AT_ONCE,
  'in slices of 1 byte': { sliceBytes: () => 1, everyMs: 0 },
  'in slices of 7 bytes': { sliceBytes: () => 7, everyMs: 0 },
  'in slices of random size': { sliceBytes: randomSizes(300), everyMs: 0 },
  'in slices with delays': { sliceBytes: (size) => Math.ceil(size / 6), everyMs: 40 },
};

type Asks = 'client asks for usage' | 'gateway asks for usage';

/** The request's text, with white space of its own so that a body written anew would show; `asks` concerns streams of chat alone. */
function requestText({ id, recording }: Case, asks?: Asks): string {
  const body: Record<string, unknown> = { ...recording.request.body, model: id };
  if (asks === 'gateway asks for usage') delete body['stream_options'];
  if (asks === 'client asks for usage') body['stream_options'] = { include_usage: true };
  return `${JSON.stringify(body, null, 1)}\n`;
}

interface Exchanged {
  reply: Reply;
  sent: ReplayRequest | undefined;
  text: string;
  log: LogLine;
}

describeRecorded('relayed recordings', () => {
  const cases = readRecordings().flatMap(caseOf);
  const unary = cases.filter(({ recording }) => recording.response.kind === 'json' && recording.response.status === 200);
  const streams = cases.filter(({ recording }) => recording.response.kind === 'sse');
  const refusals = cases.filter(({ recording }) => recording.response.status !== 200);
  const broken = streams.filter(({ id }) => id.includes('midstream-error'));
  const whole = streams.filter((each) => !broken.includes(each));
  const chats = streams.filter(({ recording }) => recording.endpoint === 'openai.chat');

  let upstream: ReplayUpstream;
  let box: Signalbox;
  let log: ExchangeLog;

  beforeAll(async () => {
    upstream = await startReplayUpstream(cases.map(({ recording }) => recording));
    const env = Object.fromEntries(cases.map(({ id }, at) => [`CREDENTIAL_${at}`, credentialOf(id)]));
    box = await startSignalbox({ config: configOf(cases, upstream.url), env: { ...env, CLIENT_KEY } });
    log = exchangeLog(box);
  });
  afterAll(async () => {
    await box?.kill();
    await upstream?.close();
  });

  /** One exchange per case, all at the same pace; each recording at most once, so that its upstream request is known. */
  async function exchangeAll(them: readonly Case[], pace: Pace, asks?: Asks): Promise<Map<string, Exchanged>> {
    upstream.setPace(pace);
    upstream.requests.length = 0;
    const replies = await inParallel(them, 12, async (each) => {
      const text = requestText(each, asks);
      return { text, reply: await ask(box.url + each.path, { headers: clientHeaders(each), body: text }) };
    });
    const found = new Map<string, Exchanged>();
    for (const [at, { id }] of them.entries()) {
      const { reply, text } = replies[at]!;
      const sent = upstream.requests.find(({ recording }) => recording === id);
      found.set(id, { reply, text, sent, log: await log.of(reply.headers['x-request-id'] ?? '') });
    }
    return found;
  }

  describe('requests', () => {
    let exchanged: Map<string, Exchanged>;
    beforeAll(async () => {
      exchanged = await exchangeAll(cases, AT_ONCE);
    });

    it.each(cases)('$id: go up as they came, but for the model and the usage option', (each) => {
      const { sent, text } = exchanged.get(each.id)!;
      expect(sent?.path).toBe(each.path);
      const { text: expected, byteExact } = upstreamText(each, text);
      if (byteExact) expect(sent?.body.toString('utf8')).toBe(expected);
      else expect(JSON.parse(sent?.body.toString('utf8') ?? '')).toEqual(JSON.parse(expected));
    });

    it.each(cases)('$id: carry our credential and nothing of the client that is not on the list', (each) => {
      const { sent } = exchanged.get(each.id)!;
      const { headers } = sent!;
      const auth = catalogRow(each.type)?.auth;
      const credential = auth === 'none' || auth === undefined ? {} : { [auth.header]: auth.prefix + credentialOf(each.id) };
      const isAnthropic = each.type === 'anthropic';
      expect(headers).toEqual({
        ...catalogRow(each.type)?.fixedHeaders,
        ...credential,
        host: new URL(upstream.url).host,
        connection: 'keep-alive',
        'content-length': String(sent!.body.length),
        'content-type': 'application/json',
        accept: 'application/x-of-the-client',
        'accept-encoding': 'identity',
        'user-agent': expect.stringMatching(/^signalbox\//),
        'idempotency-key': 'key-of-the-caller',
        ...(isAnthropic ? { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'a-beta,b-beta' } : { 'openai-beta': 'c-beta' }),
      });
      expect(JSON.stringify(headers) + sent!.body.toString('latin1')).not.toContain(CLIENT_KEY);
    });

    it.each(unary)('$id: a whole answer comes back to the byte, with its cost', (each) => {
      const { reply, log: line } = exchanged.get(each.id)!;
      expect(reply.status).toBe(200);
      expect(reply.bytes.equals(answerBytes(each.recording))).toBe(true);
      expectAnswerHeaders(reply);
      expect(reply.headers['x-signalbox-provider']).toBe(`at-${each.id}`);
      expect(reply.headers['x-signalbox-model']).toBe(each.id);
      expect(reply.headers['x-signalbox-attempts']).toBe('1');
      if (each.costUsd === undefined) expect(reply.headers).not.toHaveProperty('x-signalbox-cost-usd');
      else expect(Number(reply.headers['x-signalbox-cost-usd'])).toBeCloseTo(each.costUsd, 9);
      expectBooked(each, line);
    });

    it.each(refusals)('$id: is refused as the contract says', (each) => {
      const { reply, log: line } = exchanged.get(each.id)!;
      const { status } = each.recording.response;
      expectAnswerHeaders(reply);
      expect(line['outcome']).toBe('upstream_error');
      if (status !== 401 && status !== 404) {
        expect(reply.status).toBe(status);
        expect(reply.bytes.equals(answerBytes(each.recording))).toBe(true);
        return;
      }
      const code = status === 401 ? 'upstream_auth' : 'upstream_model';
      expect(reply.status).toBe(502);
      expect(line).toMatchObject({ status: 502, error: code });
      expectOurError(each, reply, code);
    });

    it('find most prices on the list', () => {
      const used = cases.filter(({ usage }) => usage !== undefined);
      const priced = used.filter(({ costUsd }) => costUsd !== undefined);
      expect(priced.length).toBeGreaterThan(used.length * 0.85);
    });
  });

  describe.each(Object.entries(PACES))('streams %s', (name, pace) => {
    const asked = new Map<Asks, Map<string, Exchanged>>();
    beforeAll(async () => {
      asked.set('client asks for usage', await exchangeAll(streams, pace, 'client asks for usage'));
      asked.set('gateway asks for usage', await exchangeAll(chats, pace, 'gateway asks for usage'));
    });

    it.each(streams)('$id: pass to the byte', (each) => {
      const { reply, log: line } = asked.get('client asks for usage')!.get(each.id)!;
      expect(reply.broken).toBeUndefined();
      expect(reply.status).toBe(200);
      expect(reply.text).toBe(answerBytes(each.recording).toString('utf8'));
      expect(reply.bytes.equals(answerBytes(each.recording))).toBe(true);
      expectAnswerHeaders(reply);
      expectBooked(each, line);
    });

    it.each(chats)('$id: pass without the usage that only the gateway asked for', (each) => {
      const { reply, log: line } = asked.get('gateway asks for usage')!.get(each.id)!;
      expect(reply.text).toBe(withoutUsage(each));
      expectBooked(each, line);
    });

    if (name === 'in slices with delays') {
      it.each(streams)('$id: begin to arrive before the last is sent', (each) => {
        const { reply, sent } = asked.get('client asks for usage')!.get(each.id)!;
        expect(reply.arrivedAt[0]).toBeLessThan(sent!.answeredAt! - 40);
      });
    }
  });

  const CUTS = { end: 'ends in good order', fin: 'closes', reset: 'resets' } as const;
  describe.each(['end', 'fin', 'reset'] as const)('streams that stop in the middle (%s)', (how) => {
    const part = 0.6;
    let exchanged: Map<string, Exchanged>;
    beforeAll(async () => {
      const at = (bytes: Buffer): number => Math.floor(bytes.length * part);
      exchanged = await exchangeAll(whole, { ...AT_ONCE, cut: { at, how } }, 'client asks for usage');
    });

    it.each(whole)(`$id: end with our error event where the upstream ${CUTS[how]}`, (each) => {
      const { reply, log: line } = exchanged.get(each.id)!;
      const bytes = answerBytes(each.recording);
      const came = wholeEvents(bytes.subarray(0, Math.floor(bytes.length * part)).toString('latin1'));
      expect(reply.broken).toBeUndefined();
      expect(reply.bytes.toString('latin1').slice(0, came.length)).toBe(came);
      const last = reply.bytes.subarray(Buffer.byteLength(came, 'latin1')).toString('utf8');
      expect(last).toMatch(/^(event: error\n)?data: \{.*\}\n\n$/);
      const event = JSON.parse(last.slice(last.indexOf('{'))) as Record<string, unknown>;
      expect(event).toEqual(ERROR_EVENTS[each.recording.endpoint]!(reply));
      expect(line).toMatchObject({ status: 200, outcome: 'upstream_incomplete', error: 'upstream_incomplete' });
    });
  });

  describe('streams that carry their provider’s own error', () => {
    it.each(broken)('$id: end with it, and nothing is added', async (each) => {
      const { reply, log: line } = (await exchangeAll([each], AT_ONCE)).get(each.id)!;
      expect(reply.text).toBe(each.recording.response.text);
      expect(line).toMatchObject({ status: 200, outcome: 'upstream_error', error: 'upstream_error' });
    });
  });
});

function configOf(cases: readonly Case[], url: string): string {
  const providers = cases.map(({ id, type }, at) => {
    const base = type === 'anthropic' ? `${url}/${id}` : `${url}/${id}/v1`;
    return [`at-${id}`, { type, base_url: base, api_key: `\${env:CREDENTIAL_${at}}` }];
  });
  return JSON.stringify({
    server: { workers: 2 },
    providers: Object.fromEntries(providers) as object,
    models: cases.map(({ id, upstreamModel }) => ({ name: id, targets: [{ provider: `at-${id}`, model: upstreamModel }] })),
    keys: [{ name: 'client', key: '${env:CLIENT_KEY}', models: ['*'] }],
    telemetry: { log: { format: 'json' } },
  });
}

function clientHeaders({ type }: Case): Record<string, string> {
  return {
    ...(type === 'anthropic' ? { 'x-api-key': CLIENT_KEY } : { authorization: `Bearer ${CLIENT_KEY}` }),
    accept: 'application/x-of-the-client',
    'user-agent': 'a-client/1.0',
    'anthropic-version': '2023-06-01',
    'anthropic-beta': 'a-beta,b-beta',
    'openai-beta': 'c-beta',
    'openai-organization': 'org-of-the-client',
    'openai-project': 'proj-of-the-client',
    'idempotency-key': 'key-of-the-caller',
    cookie: 'session=1',
    'x-forwarded-for': '203.0.113.9',
    'x-stainless-lang': 'js',
    'x-anything-else': 'yes',
  };
}

/** What must arrive upstream for what the client sent. Renamed parameters move, so only their meaning is compared. */
function upstreamText({ id, recording, type, upstreamModel }: Case, text: string): { text: string; byteExact: boolean } {
  const { rename = {}, includeUsage } = catalogRow(type)!.quirks;
  const body = JSON.parse(text) as Record<string, unknown>;
  const asks = recording.endpoint === 'openai.chat' && body['stream'] === true && includeUsage !== false;
  const expected = text.replace(`"model": ${JSON.stringify(id)}`, `"model": ${JSON.stringify(upstreamModel)}`);
  const renamed = Object.keys(rename).filter((name) => name in body);
  const { include_usage: asked } = (body['stream_options'] ?? {}) as { include_usage?: boolean };
  if (renamed.length === 0 && (!asks || asked === true)) return { text: expected, byteExact: true };
  // An absent option comes first, ahead of the client's own white space.
  const first = '{"stream_options":{"include_usage":true},';
  if (renamed.length === 0 && body['stream_options'] === undefined)
    return { text: expected.replace('{', first), byteExact: true };
  const changed = JSON.parse(expected) as Record<string, unknown>;
  for (const name of renamed) {
    changed[rename[name]!] = changed[name];
    delete changed[name];
  }
  if (asks) changed['stream_options'] = { ...(changed['stream_options'] as object), include_usage: true };
  return { text: JSON.stringify(changed), byteExact: false };
}

const ANSWER_HEADERS = new Set(
  (
    'content-type content-length transfer-encoding cache-control date connection keep-alive ' +
    'x-accel-buffering retry-after retry-after-ms x-should-retry openai-processing-ms request-id x-request-id'
  ).split(' '),
);

function expectAnswerHeaders({ headers }: Reply): void {
  const others = Object.keys(headers).filter((name) => !ANSWER_HEADERS.has(name) && !name.startsWith('x-signalbox-'));
  expect(others).toEqual([]);
  expect(headers['x-request-id']).toMatch(/^req_[0-9a-z]{24}$/);
  expect(Number(headers['x-signalbox-overhead-ms'])).toBeGreaterThanOrEqual(0);
  expect(headers['x-signalbox-worker']).toMatch(/^[01]$/);
}

/** The log's line, which is the fact's. */
function expectBooked({ id, recording, usage, costUsd, upstreamModel }: Case, line: LogLine): void {
  const failed = id.includes('midstream-error');
  expect(line).toMatchObject({
    key: 'client',
    model: id,
    target: `at-${id}/${upstreamModel}`,
    status: 200,
    outcome: failed ? 'upstream_error' : 'ok',
    stream: recording.request.body?.['stream'] === true,
    attempts: 1,
  });
  expect(line['finish']).toBe(recordedFinish(recording));
  expect(line['input_tokens']).toBe(usage?.input_tokens);
  expect(line['output_tokens']).toBe(usage?.output_tokens);
  expect(line['cache_read_tokens']).toBe(usage?.cache_read_tokens);
  expect(line['unpriced']).toBe(usage !== undefined && costUsd === undefined ? true : undefined);
  if (costUsd === undefined) expect(line).not.toHaveProperty('cost_usd');
  else expect(Number(line['cost_usd'])).toBeCloseTo(costUsd, 9);
}

function expectOurError({ recording }: Case, reply: Reply, code: string): void {
  if (recording.endpoint === 'anthropic.messages') {
    expect(jsonOf(reply)).toEqual({
      type: 'error',
      error: { type: 'api_error', message: expect.any(String) },
      request_id: reply.headers['x-request-id'],
    });
    return;
  }
  expect(jsonOf(reply)).toEqual({ error: { message: expect.any(String), type: 'server_error', param: null, code } });
}

const incomplete = { message: expect.any(String) as string, type: 'server_error', param: null, code: 'upstream_incomplete' };
const ERROR_EVENTS: Readonly<Record<string, (reply: Reply) => object>> = {
  'openai.chat': () => ({ error: incomplete }),
  'openai.responses': () => ({ ...incomplete, type: 'error', sequence_number: expect.any(Number) }),
  'anthropic.messages': ({ headers }) => ({
    type: 'error',
    error: { type: 'api_error', message: expect.any(String) },
    request_id: headers['x-request-id'],
  }),
};

/** All events of the text that are whole. */
function wholeEvents(text: string): string {
  return /^[^]*(?:\r\n\r\n|\n\n|\r\r)/.exec(text)?.[0] ?? '';
}

/** The stream as a client gets it who did not ask for usage, where the provider sends it only when asked. */
function withoutUsage({ recording, type }: Case): string {
  const text = recording.response.text ?? '';
  if (catalogRow(type)?.quirks.includeUsage === false) return text;
  const events = text.split(/(?<=\r?\n\r?\n)/);
  const kept = events.filter((event) => {
    const data = /^data: ?(\{.*\})\r?$/m.exec(event)?.[1];
    if (data === undefined) return true;
    const { usage, choices } = JSON.parse(data) as { usage?: object | null; choices?: unknown[] };
    return !(typeof usage === 'object' && usage !== null && (choices ?? []).length === 0);
  });
  return kept.map((event) => event.replace(/, ?"usage": ?null(?=[,}])|"usage": ?null, ?/, '')).join('');
}
