/**
 * A provider that keeps its own bill: a real HTTP server speaking OpenAI chat, which generates by the clock, honours caps, thinks in secret, reads from caches, cuts its
 * streams, refuses, and goes on generating for two seconds after its reader has gone. What it does is said in the request's own member `play`.
 */
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface Play {
  /** Visible tokens of each choice, if no cap is lower. Absent: 100. */
  tokens?: number;
  /** Thought before that, billed as output and never shown; within the cap. */
  reasoning?: number;
  /** Before the first token. */
  waitMs?: number;
  msPerToken?: number;
  /** Part of the input that comes from a cache. */
  cached?: number;
  /** Dies after so many visible tokens. */
  cutAt?: number;
  /** Refuses. */
  status?: number;
  /** Tells no usage. */
  silent?: boolean;
  /** Tells zeros. */
  zeros?: boolean;
}

/** What one request costs, as the provider sees it. */
export interface Bill {
  id: string;
  inputTokens: number;
  cachedTokens: number;
  /** Of all choices, reasoning included. */
  outputTokens: number;
  /** It was answered whole, with usage. */
  told: boolean;
  /** The caps that arrived. */
  cap: number | undefined;
}

export interface BillingUpstream {
  url: string;
  /** Every request that was served, in the order of its end. */
  bills: Bill[];
  /** Requests that arrived. */
  seen: () => number;
  /** Resolves when everything that is still being generated has ended. */
  idle: () => Promise<void>;
  close: () => Promise<void>;
}

/** Providers find out late that nobody reads. */
const GOES_ON_MS = 2_000;
const TURN_MS = 10;

interface Asked {
  model: string;
  stream?: boolean;
  n?: number;
  max_tokens?: number;
  max_completion_tokens?: number;
  play?: Play;
  /** Names the bill. */
  user?: string;
}

export async function startBillingUpstream(): Promise<BillingUpstream> {
  const bills: Bill[] = [];
  const count = { seen: 0, open: 0 };
  const server = createServer((request, response) => {
    count.seen++;
    count.open++;
    void serve(request, response, bills).finally(() => count.open--);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bills,
    seen: () => count.seen,
    idle: async () => {
      while (count.open > 0) await delay(TURN_MS);
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

async function serve(request: IncomingMessage, response: ServerResponse, bills: Bill[]): Promise<void> {
  let text = '';
  for await (const piece of request.setEncoding('utf8')) text += String(piece);
  const asked = JSON.parse(text) as Asked;
  const { status } = asked.play ?? {};
  if (status !== undefined) {
    response.writeHead(status, { 'content-type': 'application/json' }).end('{"error":{"message":"refused by the test"}}');
    return;
  }
  await new Generation(asked, text, response).run(bills);
}

/** One answer under way. */
class Generation {
  private readonly asked: Asked;
  private readonly response: ServerResponse;
  private readonly inputTokens: number;
  private readonly cap: number | undefined;
  private readonly choices: number;
  /** Of one choice. */
  private readonly thought: number;
  private readonly visible: number;
  private readonly startedAt = performance.now();
  private leftAt = Infinity;
  private sent = 0;

  constructor(asked: Asked, text: string, response: ServerResponse) {
    const { play = {}, n = 1 } = asked;
    this.asked = asked;
    this.response = response;
    this.choices = n;
    this.inputTokens = Math.ceil(text.length / 4);
    this.cap = asked.max_completion_tokens ?? asked.max_tokens;
    const most = this.cap ?? Infinity;
    this.thought = Math.min(play.reasoning ?? 0, most);
    this.visible = Math.min(play.tokens ?? 100, most - this.thought);
    response.on('close', () => {
      if (!response.writableFinished) this.leftAt = performance.now();
    });
  }

  async run(bills: Bill[]): Promise<void> {
    const { play = {}, stream = false } = this.asked;
    const cutAt = play.cutAt ?? Infinity;
    const whole = this.thought + this.visible;
    if (stream) this.response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (;;) {
      const now = performance.now();
      const generated = Math.min(this.generatedAt(Math.min(now, this.leftAt + GOES_ON_MS)), this.thought + cutAt);
      if (stream && now < this.leftAt) this.send(generated - this.thought);
      if (generated >= this.thought + cutAt && cutAt < this.visible) return this.die(bills, generated);
      if (generated >= whole) break;
      if (now >= this.leftAt + GOES_ON_MS) return this.bill(bills, generated, false);
      await delay(TURN_MS);
    }
    const gone = this.leftAt !== Infinity;
    if (!gone) this.finish(stream);
    this.bill(bills, whole, !gone && play.silent !== true);
  }

  /** Of one choice, reasoning included. */
  private generatedAt(now: number): number {
    const { waitMs = 0, msPerToken = 0 } = this.asked.play ?? {};
    const writingMs = now - this.startedAt - waitMs;
    if (writingMs < 0) return 0;
    const whole = this.thought + this.visible;
    return msPerToken === 0 ? whole : Math.min(whole, Math.floor(writingMs / msPerToken));
  }

  private send(visible: number): void {
    let text = '';
    for (; this.sent < visible; this.sent++)
      for (let index = 0; index < this.choices; index++) text += event({ choices: [choice(index, { content: 'word ' })] });
    if (text !== '') this.response.write(text);
  }

  private finish(stream: boolean): void {
    const usage = this.asked.play?.silent === true ? {} : { usage: this.usage() };
    const choices = Array.from({ length: this.choices }, (_, index) => index);
    if (!stream) {
      const message = { role: 'assistant', content: 'word '.repeat(this.visible) };
      const body = {
        ...HEAD,
        object: 'chat.completion',
        choices: choices.map((index) => ({ index, message, finish_reason: 'stop' })),
        ...usage,
      };
      this.response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      return;
    }
    const ends = choices.map((index) => event({ choices: [choice(index, {}, 'stop')] })).join('');
    this.response.end(`${ends}${event({ choices: [], ...usage })}data: [DONE]\n\n`);
  }

  private die(bills: Bill[], generated: number): void {
    this.response.destroy();
    this.bill(bills, generated, false);
  }

  private usage(): object {
    const { prompt, cached, completion } = {
      prompt: this.inputTokens,
      cached: this.cached(),
      completion: this.choices * (this.thought + this.visible),
    };
    if (this.asked.play?.zeros === true) return { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    return {
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: prompt + completion,
      prompt_tokens_details: { cached_tokens: cached },
      completion_tokens_details: { reasoning_tokens: this.choices * this.thought },
    };
  }

  private cached(): number {
    return Math.floor(this.inputTokens * (this.asked.play?.cached ?? 0));
  }

  private bill(bills: Bill[], generated: number, told: boolean): void {
    bills.push({
      id: this.asked.user ?? '',
      inputTokens: this.inputTokens,
      cachedTokens: this.cached(),
      outputTokens: this.choices * generated,
      told,
      cap: this.cap,
    });
  }
}

const HEAD = { id: 'chatcmpl-1', created: 1, model: 'upstream-model' };

function choice(index: number, delta: object, finish: string | null = null): object {
  return { index, delta, finish_reason: finish };
}

function event(body: object): string {
  return `data: ${JSON.stringify({ ...HEAD, object: 'chat.completion.chunk', ...body })}\n\n`;
}

/** Nano-USD per token. */
export interface BillPrice {
  input: number;
  cached: number;
  output: number;
}

export function billOf({ inputTokens, cachedTokens, outputTokens }: Bill, price: BillPrice): number {
  return (inputTokens - cachedTokens) * price.input + cachedTokens * price.cached + outputTokens * price.output;
}
