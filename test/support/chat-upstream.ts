/** A provider that speaks OpenAI chat and does what the last word of the conversation says, so that a test plays with what its clients send. */
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ChatAskedUpstream {
  messages: { role: string; content: unknown }[];
  headers: IncomingMessage['headers'];
}

export interface ChatUpstream {
  url: string;
  /** In the order they came. */
  asked: ChatAskedUpstream[];
  /** Clients that left before their answer was whole. */
  left: () => number;
  /** Lets all go on that wait. */
  release: () => void;
  close: () => Promise<void>;
}

/** Tokens of each answer. */
export const USED = { input: 1_000, output: 500 };

/**
 * Answers a stream: `echo: …` says the rest, word by word; `wait` says one word and waits for `release`; `break` says one word and dies; `refuse` is 400, `down` is 500;
 * `error` says one word, then an error event; anything else is answered with how many messages there were.
 */
export async function startChatUpstream(): Promise<ChatUpstream> {
  const asked: ChatAskedUpstream[] = [];
  let waiting: (() => void)[] = [];
  let left = 0;
  const wait = (): Promise<void> => new Promise((resolve) => void waiting.push(resolve));
  const server = createServer((request, response) => {
    response.on('close', () => {
      if (!response.writableFinished) left += 1;
    });
    void serve(request, response, { asked, wait });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const release = (): void => {
    for (const go of waiting) go();
    waiting = [];
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    asked,
    left: () => left,
    release,
    close: () =>
      new Promise((resolve) => {
        release();
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

interface Serving {
  asked: ChatAskedUpstream[];
  wait: () => Promise<void>;
}

async function serve(request: IncomingMessage, response: ServerResponse, { asked, wait }: Serving): Promise<void> {
  let text = '';
  for await (const piece of request.setEncoding('utf8')) text += String(piece);
  const { messages } = JSON.parse(text) as Pick<ChatAskedUpstream, 'messages'>;
  asked.push({ messages, headers: request.headers });
  const said = textOf(messages.at(-1)!.content);
  if (said === 'refuse' || said === 'down') {
    response.writeHead(said === 'refuse' ? 400 : 500, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: { message: 'this model is not in the mood', type: 'invalid_request_error' } }));
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const say = (content: string): void => void response.write(event({ choices: [{ index: 0, delta: { content } }] }));
  if (said === 'break' || said === 'error') {
    say('half ');
    await new Promise((resolve) => setTimeout(resolve, 100));
    if (said === 'break') response.destroy();
    else response.end(`data: ${JSON.stringify({ error: { message: 'the machine is on fire' } })}\n\n`);
    return;
  }
  if (said === 'wait') {
    say('first ');
    await wait();
    say('last');
  } else if (said.startsWith('echo: ')) for (const word of said.slice(6).split(/(?<=\s)/)) say(word);
  else say(`there were ${messages.length} messages`);
  response.write(event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }));
  response.write(event({ choices: [], usage: usage() }));
  response.end('data: [DONE]\n\n');
}

function usage(): object {
  const { input, output } = USED;
  return { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
}

function event(more: object): string {
  return `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'm', ...more })}\n\n`;
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  return (content as { text?: string }[]).map(({ text }) => text ?? '').join('');
}
