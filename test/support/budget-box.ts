/** Signalbox in front of a provider that keeps its own bill, and what both say of the money afterwards. */
import { join } from 'node:path';

import { Agent, request } from 'undici';

import type { Scope } from '../../src/core/rules.ts';
import type { RequestLine } from '../../src/store/ports/usage.ts';
import { openStore } from '../../src/store/sql/open.ts';
import type { Store } from '../../src/store/store.ts';
import type { BillPrice, BillingUpstream, Play } from './billing-upstream.ts';
import { type Signalbox, startSignalbox } from './signalbox.ts';

export const KEY = 'budget-key-0123456789abcdef';
export const ENV = { KEY, ADMIN: 'budget-admin-0123456789abcdef' };
/** 10, 1 and 100 USD per million tokens. */
export const PRICE: BillPrice = { input: 10_000, cached: 1_000, output: 100_000 };
const PRICE_YAML = '{ input_usd_per_mtok: 10, cache_read_usd_per_mtok: 1, output_usd_per_mtok: 100 }';

export interface BoxOptions {
  workers: number;
  /** YAML of the key's budget; absent: none. */
  budget?: string;
  /** Further members of the model, YAML. */
  model?: string;
  price?: string;
  /** Further sections. */
  more?: string;
  dataDir?: string;
  env?: Record<string, string>;
}

export function configOf(
  upstream: BillingUpstream,
  { workers, budget, model = '', price = PRICE_YAML, more = '' }: BoxOptions,
): string {
  return `
server: { workers: ${workers}, drain_s: 10 }
providers: { lab: { type: openai-compatible, base_url: "${upstream.url}/v1", api_key: none } }
models:
  - { name: m, targets: [{ provider: lab, model: m, price: ${price}, timeouts: { first_byte_ms: 30000, idle_ms: 30000, total_ms: 30000 } }]${model} }
keys: [{ name: k, key: "\${env:KEY}"${budget === undefined ? '' : `, budget: ${budget}`} }]
admin: { key: "\${env:ADMIN}" }
telemetry: { log: { level: info, format: json } }
${more}`;
}

export function startBudgetBox(upstream: BillingUpstream, options: BoxOptions): Promise<Signalbox> {
  return startSignalbox({
    config: configOf(upstream, options),
    env: { ...ENV, ...options.env },
    ...(options.dataDir !== undefined && { dataDir: options.dataDir }),
  });
}

export interface Answer {
  /** 0: the connection broke. */
  status: number;
  code: string | undefined;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

export interface AskOptions {
  play?: Play;
  stream?: boolean;
  /** Further members of the body. */
  over?: object;
  /** Leaves then. */
  leaveMs?: number;
  id?: string;
  key?: string;
}

/** What is sent for these options. */
export function bodyOf({ play = {}, stream = false, over = {}, id = '' }: AskOptions): string {
  return JSON.stringify({ model: 'm', stream, messages: [{ role: 'user', content: 'hello' }], user: id, play, ...over });
}

/** One question through the gateway; never rejects. */
export async function askBox(box: Pick<Signalbox, 'url'>, dispatcher: Agent, options: AskOptions = {}): Promise<Answer> {
  const { leaveMs } = options;
  const leave = new AbortController();
  const timer = leaveMs === undefined ? undefined : setTimeout(() => leave.abort(), leaveMs);
  try {
    const answer = await request(`${box.url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${options.key ?? KEY}`,
        ...(options.id !== undefined && { 'x-request-id': options.id }),
      },
      body: bodyOf(options),
      dispatcher,
      signal: leave.signal,
      headersTimeout: 60_000,
    });
    const text = await answer.body.text();
    return { status: answer.statusCode, code: codeIn(text), headers: answer.headers, text };
  } catch {
    return { status: 0, code: undefined, headers: {}, text: '' };
  } finally {
    clearTimeout(timer);
  }
}

function codeIn(text: string): string | undefined {
  return /"code":"(\w+)"/.exec(text)?.[1];
}

/** As many questions at once as there are, over as many connections. */
export async function allAtOnce(box: Signalbox, count: number, options: (index: number) => AskOptions): Promise<Answer[]> {
  const agent = new Agent({ connections: count, pipelining: 1, headersTimeout: 60_000, bodyTimeout: 60_000 });
  try {
    return await Promise.all(Array.from({ length: count }, (_, index) => askBox(box, agent, options(index))));
  } finally {
    await agent.destroy();
  }
}

export interface Books {
  /** Nano-USD of the key. */
  spent: number;
  entries: number;
  differences: number;
}

/** Every line of the request log, by the id that the client gave. */
export async function linesOf(store: Store): Promise<Map<string, RequestLine>> {
  const lines = new Map<string, RequestLine>();
  for (let after: string | undefined; ;) {
    const page = await store.usage.requests({ limit: 1_000, ...(after !== undefined && { after }) });
    for (const line of page.requests) lines.set(line.requestId, line);
    if (page.next === undefined) return lines;
    after = page.next;
  }
}

/** What the store says, once nothing runs on it any more. */
export async function readBooks(dataDir: string, scope: Scope = 'key:k'): Promise<Books> {
  const store = await openStore(join(dataDir, 'store.db'));
  try {
    const [spent = 0] = await store.ledger.spentSince([{ scope, sinceMs: 0 }]);
    const { entries, differences } = await store.ledger.verify();
    return { spent, entries, differences: differences.length };
  } finally {
    await store.close();
  }
}
