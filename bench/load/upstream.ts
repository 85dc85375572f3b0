/** The provider of the benchmark: a bare node:http server with a canned answer, so that it is never the bottleneck. Prints its port. */
import { type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const ANSWER = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1,
    model: 'bench-model',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'A short answer of a few words.', refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: { prompt_tokens: 12, completion_tokens: 8, total_tokens: 20 },
  }),
);
const EVENTS = 800;
const STREAM = streamChunks(EVENTS);

const server = createServer((request, response) => {
  request.resume().on('end', () => {
    const mode = request.headers['x-bench'] ?? new URL(request.url!, 'http://x').searchParams.get('bench');
    if (mode === 'stream') void sendStream(response);
    else if (mode === 'paced') sendPaced(response);
    else if (mode === 'hold') setTimeout(() => sendAnswer(response), 1500);
    else if (mode === 'think') setTimeout(() => sendAnswer(response), 100);
    else sendAnswer(response);
  });
});
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));

function sendAnswer(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': ANSWER.length }).end(ANSWER);
}

/** 800 events in 80 writes of ten, as a fast model's network reads come. */
async function sendStream(response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const chunk of STREAM) {
    if (!response.write(chunk)) await new Promise((resolve) => response.once('drain', resolve));
    await new Promise((resolve) => setImmediate(resolve));
  }
  response.end('data: [DONE]\n\n');
}

/** One event each 50 ms for 10 s, each with the wall time it left at. */
function sendPaced(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  let left = 200;
  const timer = setInterval(() => {
    if (--left < 0) {
      clearInterval(timer);
      response.end('data: [DONE]\n\n');
      return;
    }
    const sentAt = performance.timeOrigin + performance.now();
    response.write(
      `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"t${sentAt.toFixed(3)}t"},"finish_reason":null}]}\n\n`,
    );
  }, 50);
  response.on('close', () => clearInterval(timer));
}

function streamChunks(events: number): Buffer[] {
  const event = (delta: object, finish: string | null): string =>
    `data: ${JSON.stringify({ id: 'chatcmpl-bench', object: 'chat.completion.chunk', created: 1, model: 'bench-model', choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] })}\n\n`;
  const texts = [event({ role: 'assistant', content: '' }, null)];
  for (let index = 0; index < events - 3; index++) texts.push(event({ content: ` word${index}` }, null));
  texts.push(event({}, 'stop'));
  texts.push(
    'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1,"model":"bench-model","choices":[],"usage":{"prompt_tokens":29000,"completion_tokens":797,"total_tokens":29797}}\n\n',
  );
  const chunks: Buffer[] = [];
  for (let at = 0; at < texts.length; at += 10) chunks.push(Buffer.from(texts.slice(at, at + 10).join('')));
  return chunks;
}
