/**
 * What reading a body's routing keys and cutting an event stream cost a worker: `node bench/scan.ts`.
 * Baselines of the same run: JSON.parse for bodies; for streams, decoding each event whole.
 */
import { isUtf8 } from 'node:buffer';

import { responsesTap } from '../src/dialects/openai-responses/usage.ts';
import { scanObject } from '../src/lib/json-scan.ts';
import { spliceMembers } from '../src/lib/json-splice.ts';
import { createSseParser } from '../src/lib/sse-parser.ts';
import { createSseSplitter } from '../src/lib/sse-split.ts';

/** Rounds of about a millisecond, so that the best of them was not interrupted by neighbours on the machine. */
const ROUND_NS = 1_000_000;
const ROUNDS = 400;

/** The best round, in nanoseconds per call. */
function nsPerCall(work: () => unknown): number {
  let calls = 1;
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round += 1) {
    const start = process.hrtime.bigint();
    for (let call = 0; call < calls; call += 1) if (work() === undefined) throw new Error('nothing was done');
    const spent = Number(process.hrtime.bigint() - start);
    best = Math.min(best, spent / calls);
    calls = Math.max(1, Math.round(ROUND_NS / best));
  }
  return best;
}

function body(systemBytes: number, tools: number): Buffer {
  const paragraph =
    'You are an agent that edits code.\nRead "AGENTS.md" first; run `npm test` before you answer.\n\n\t- keep changes small\n';
  const tool = (index: number) => ({
    type: 'function',
    function: {
      name: `tool_${index}`,
      description: paragraph.repeat(16),
      parameters: {
        type: 'object',
        properties: { path: { type: 'string', description: 'An absolute path' }, limit: { type: 'integer', minimum: 0 } },
        required: ['path'],
        additionalProperties: false,
      },
    },
  });
  const request = {
    model: 'gpt-4o',
    messages: [
      { role: 'system', content: paragraph.repeat(Math.ceil(systemBytes / paragraph.length)) },
      { role: 'user', content: 'What is the capital of France? Answer in one short sentence, please.' },
    ],
    temperature: 0.7,
    max_tokens: 1024,
    stream: true,
    ...(tools > 0 && { tools: Array.from({ length: tools }, (_, index) => tool(index)) }),
  };
  return Buffer.from(JSON.stringify(request));
}

function bench(name: string, bytes: Buffer): void {
  const members = scanObject(bytes);
  if (!members.ok) throw new Error(members.reason);
  const works: Record<string, () => unknown> = {
    scanObject: () => scanObject(bytes),
    'utf8 + JSON.parse': () => JSON.parse(bytes.toString('utf8')),
    'isUtf8 + latin1 + JSON.parse': () => isUtf8(bytes) && JSON.parse(bytes.toString('latin1')),
    'spliceMembers (model, stream_options)': () =>
      spliceMembers(bytes, members, { model: '"gpt-4o-2024-08-06"', stream_options: '{"include_usage":true}' }),
  };
  console.log(`${name}: ${bytes.length} bytes`);
  for (const [what, work] of Object.entries(works)) {
    const ns = nsPerCall(work);
    console.log(
      `  ${what.padEnd(40)} ${(ns / 1000).toFixed(2).padStart(8)} µs  ${((bytes.length / ns) * 1000).toFixed(0).padStart(6)} MB/s`,
    );
  }
}

const EVENTS = 800;

function chunksOf(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
}

function benchStream(name: string, event: (index: number) => string): void {
  const events = Array.from({ length: EVENTS }, (_, index) => Buffer.from(event(index)));
  const whole = Buffer.concat(events);
  const split = (chunks: readonly Buffer[]) => {
    const splitter = createSseSplitter({ maxEventBytes: 1 << 20 });
    let found = 0;
    for (const chunk of chunks) found += splitter.push(chunk).length;
    if (found !== EVENTS) throw new Error(`${found} events`);
    return found;
  };
  const large = chunksOf(whole, 65_536);
  const odd = chunksOf(whole, 1_000);
  const works: Record<string, () => unknown> = {
    'split, chunks of 64 KiB': () => split(large),
    'split, chunks of 1,000 bytes': () => split(odd),
    'split, one chunk each': () => split(events),
    'parse, one chunk each': () => {
      let found = 0;
      const parser = createSseParser({ maxEventBytes: 1 << 20, onEvent: () => found++ });
      for (const chunk of events) parser.push(chunk);
      return found;
    },
    'responses tap': () => {
      const tap = responsesTap();
      for (const chunk of events) tap.see(chunk);
      return tap.state;
    },
    'decode + JSON.parse': () => {
      for (const chunk of events) {
        const text = chunk.toString('utf8');
        JSON.parse(text.slice(text.indexOf('data: ') + 6).trimEnd());
      }
      return 0;
    },
  };
  console.log(`${name}: ${EVENTS} events of ${Math.round(whole.length / EVENTS)} bytes`);
  for (const [what, work] of Object.entries(works))
    console.log(`  ${what.padEnd(40)} ${(nsPerCall(work) / EVENTS).toFixed(0).padStart(8)} ns/event`);
}

const delta = (index: number) =>
  `{"type":"response.output_text.delta","content_index":0,"delta":" word${index}","item_id":"msg_0dbef2d9d14a548c00696d5e6fb1a08190941cffd38695ae38","logprobs":[],"obfuscation":"VmJnH4G8sQ","output_index":0,"sequence_number":${index}}`;

bench('chat', body(0, 0));
bench('agent request', body(60_000, 24));
benchStream('LF', (index) => `event: response.output_text.delta\ndata: ${delta(index)}\n\n`);
benchStream('CRLF', (index) => `event: response.output_text.delta\r\ndata: ${delta(index)}\r\n\r\n`);
