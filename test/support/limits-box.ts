/** A Signalbox before an upstream whose answers, their usage and their pace the test decides, for tests of limits. */
import { Pool } from 'undici';

import { type FaultUpstream, LAST_CHUNK, type Step, SSE_HEAD, chunk, startFaultUpstream, whole } from './fault-upstream.ts';
import { type Signalbox, startSignalbox } from './signalbox.ts';

export const KEYS = { CI: 'limits-ci-key-0123456789', OTHER: 'limits-other-key-0123456789', LOW: 'limits-low-key-0123456789' };
const ENV = { ...KEYS, ADMIN: 'limits-admin-key-0123456789' };

export interface Answer {
  status: number;
  headers: Record<string, string>;
  /** OpenAI's error object, or the answer itself. */
  body: { error?: { message: string; type: string; code: string | null } } & Record<string, unknown>;
}

export interface LimitsBox {
  box: Signalbox;
  upstream: FaultUpstream;
  /** What the upstream does with each request that follows, by its model. */
  play: (steps: (model: string) => Step[]) => void;
  /** One chat on a connection of its own, or on one of the pool's. */
  chat: (
    key: string,
    body?: object,
    options?: { signal?: AbortSignal; headers?: Record<string, string>; path?: string },
  ) => Promise<Answer>;
  /** Chats that the upstream has, by model. */
  seen: (model: string) => number;
  stop: () => Promise<void>;
}

export const usage = (prompt: number, completion: number, cached = 0) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
  prompt_tokens_details: { cached_tokens: cached },
});

/** A whole answer that was charged so much. */
export function answered(told = usage(5, 5)): Step[] {
  const message = { role: 'assistant', content: 'yes' };
  const choices = [{ index: 0, message, finish_reason: 'stop' }];
  return [
    { send: whole(200, JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'up', choices, usage: told })) },
  ];
}

/** A stream of one word. Its connection ends some time after its last event. */
export function streamed(): Step[] {
  const event = (delta: object, finish: string | null): string =>
    `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'up', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  const events = `${event({ content: 'yes' }, null)}${event({}, 'stop')}data: [DONE]\n\n`;
  return [{ send: SSE_HEAD }, { send: chunk(events) }, { waitMs: 5 }, { send: LAST_CHUNK }];
}

/** A stream that has begun and does not end. */
export function endless(): Step[] {
  const choices = [{ index: 0, delta: { content: 'and then' }, finish_reason: null }];
  const event = `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'up', choices })}\n\n`;
  return [{ send: SSE_HEAD }, { send: chunk(event) }, 'hang'];
}

/** `config` without server, providers and admin; `lab` is the provider, and the upstream's model the last word of the target's. */
export async function startLimitsBox(
  config: (labUrl: string) => string,
  options: { workers?: number; env?: Record<string, string>; dataDir?: string } = {},
): Promise<LimitsBox> {
  let steps: (model: string) => Step[] = () => answered();
  const counts = new Map<string, number>();
  const upstream = await startFaultUpstream(({ body }) => {
    const { model } = JSON.parse(body.toString('utf8')) as { model: string };
    counts.set(model, (counts.get(model) ?? 0) + 1);
    return steps(model);
  });
  const box = await startSignalbox({
    config: `server: { workers: ${options.workers ?? 2} }\nadmin: { key: "\${env:ADMIN}" }\n${config(upstream.url)}`,
    env: { ...ENV, ...options.env },
    ...(options.dataDir !== undefined && { dataDir: options.dataDir }),
  });
  const pool = new Pool(box.url, { connections: 256, pipelining: 1, bodyTimeout: 0, headersTimeout: 0 });
  return {
    box,
    upstream,
    play: (next) => (steps = next),
    seen: (model) => counts.get(model) ?? 0,
    async chat(key, body = {}, { signal, headers = {}, path = '/v1/chat/completions' } = {}) {
      const sent = { model: 'm', messages: [{ role: 'user', content: 'hello' }], ...body };
      const answer = await pool.request({
        path,
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
        body: JSON.stringify(sent),
        ...(signal === undefined ? {} : { signal }),
      });
      const text = await answer.body.text();
      const flat = Object.entries(answer.headers).map(([name, value]) => [name, String(value)]);
      const isJson = String(answer.headers['content-type']).startsWith('application/json');
      return { status: answer.statusCode, headers: Object.fromEntries(flat), body: isJson ? JSON.parse(text) : { text } };
    },
    async stop() {
      await pool.destroy();
      await box.kill();
      await upstream.close();
    },
  };
}

/** How many of these answers have which status. */
export function statuses(answers: readonly Pick<Answer, 'status'>[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
