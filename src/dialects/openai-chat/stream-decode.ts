/**
 * A provider's stream of chunks as neutral parts.
 *
 * Two tables say what the members of a chunk and of a delta mean. Finishes are held back until the end, because usage comes after them.
 */
import type { StreamPart } from '../../core/parts.ts';
import { type Json, badResponse, isObject, listOf, objectOf, textOf } from '../../core/read.ts';
import { count } from '../../core/usage.ts';
import type { SseEvent } from '../../lib/sse-parser.ts';
import type { StreamDecoder } from '../dialect.ts';
import { readAnswerContent } from './content.ts';
import { failureIn } from './error.ts';
import { readDetail, reasoningText } from './reasoning.ts';
import { type Call, callOf, isComplete, mintedId, readPiece } from './tool-calls.ts';
import { usageOf, wordOf } from './usage.ts';
import { finishOf, readAnnotations, readLogprobs } from './wire.ts';

type Prose = 'text' | 'reasoning' | 'refusal';

interface Choice {
  index: number;
  /** The block of text, reasoning or refusal that is open; one at a time. */
  open: { kind: Prose; block: number; text: string } | undefined;
  calls: Call[];
  finish: string | undefined;
  /** Those of the chunk in hand, until a text takes them; then those that no text took. */
  logprobs: Json | undefined;
}

interface Stream {
  id: string;
  state: 'before' | 'open' | 'over';
  choices: Map<number, Choice>;
  blocks: number;
  out: StreamPart[];
}

export function openaiChatDecoder(): StreamDecoder {
  const stream: Stream = { id: '', state: 'before', choices: new Map(), blocks: 0, out: [] };
  return {
    decode(event) {
      if (stream.state !== 'over') readEvent(stream, event);
      return taken(stream);
    },
    finish() {
      if (stream.state !== 'over') transportEnded(stream);
      return taken(stream);
    },
  };
}

function taken(stream: Stream): StreamPart[] {
  const { out } = stream;
  stream.out = [];
  return out;
}

function readEvent(stream: Stream, { event, data }: SseEvent): void {
  if (data.startsWith('[DONE]')) return end(stream);
  const chunk = parseChunk(data);
  const failure = failureIn(chunk) ?? (event === 'error' ? failureIn({ error: chunk }) : undefined);
  if (failure !== undefined) {
    stream.state = 'over';
    stream.out.push({ type: 'error', error: failure });
    return;
  }
  for (const choice of listOf(chunk.choices)) readChoice(stream, chunk, choice);
  const usage = usageOf(chunk);
  if (usage !== undefined) {
    start(stream, chunk);
    stream.out.push({ type: 'usage', usage });
  }
}

function parseChunk(data: string): Json {
  try {
    const chunk: unknown = JSON.parse(data);
    if (isObject(chunk)) return chunk;
  } catch (cause) {
    throw badResponse('an event of the stream is not JSON', cause);
  }
  throw badResponse('an event of the stream is not an object');
}

/** At the first chunk that says something: Azure's first one has neither id nor model. */
function start(stream: Stream, chunk: Json): void {
  if (stream.state !== 'before') return;
  stream.state = 'open';
  stream.id = textOf(chunk.id);
  const serviceTier = wordOf(chunk.service_tier);
  const systemFingerprint = wordOf(chunk.system_fingerprint);
  stream.out.push({
    type: 'start',
    id: stream.id,
    model: textOf(chunk.model),
    createdS: count(chunk.created),
    ...(serviceTier !== undefined && { serviceTier }),
    ...(systemFingerprint !== undefined && { systemFingerprint }),
  });
}

/** What a delta may hold, in the order in which a model says it. Handlers are called only where the member is there. */
const DELTA_MEMBERS: readonly (readonly [name: string, read: (stream: Stream, choice: Choice, delta: Json) => void])[] = [
  ['reasoning_content', readPlainReasoning],
  ['reasoning', (stream, choice, delta) => textOf(delta.reasoning_content) === '' && readPlainReasoning(stream, choice, delta)],
  ['reasoning_details', readDetails],
  ['content', readContent],
  ['refusal', (stream, choice, delta) => prose(stream, choice, 'refusal', textOf(delta.refusal))],
  ['tool_calls', readToolCalls],
  ['function_call', (stream, choice, delta) => readCallDelta(stream, choice, { index: 0, function: delta.function_call })],
];

function readChoice(stream: Stream, chunk: Json, wire: Json): void {
  start(stream, chunk);
  const choice = choiceOf(stream, typeof wire.index === 'number' ? wire.index : 0);
  const delta = objectOf(wire.delta);
  const held = choice.logprobs;
  choice.logprobs = readLogprobs(wire.logprobs);
  for (const [name, read] of DELTA_MEMBERS) {
    const value = delta[name];
    if (value !== undefined && value !== null && value !== '') read(stream, choice, delta);
  }
  for (const part of readAnnotations(delta)) stream.out.push({ type: 'native', choice: choice.index, part });
  choice.logprobs = merged(held, choice.logprobs);
  choice.finish = wordOf(wire.finish_reason) ?? choice.finish;
}

function choiceOf(stream: Stream, index: number): Choice {
  const known = stream.choices.get(index);
  if (known !== undefined) return known;
  const choice: Choice = { index, open: undefined, calls: [], finish: undefined, logprobs: undefined };
  stream.choices.set(index, choice);
  return choice;
}

function merged(held: Json | undefined, later: Json | undefined): Json | undefined {
  if (held === undefined || later === undefined) return held ?? later;
  const lists = (name: string) => [...listOf(held[name]), ...listOf(later[name])];
  return { content: lists('content'), refusal: lists('refusal') };
}

/** A piece of text, reasoning or refusal: the open block of its kind goes on, or a new one begins. */
function prose(stream: Stream, choice: Choice, kind: Prose, text: string): void {
  if (text === '') return;
  const open = opened(stream, choice, kind);
  open.text += text;
  const logprobs = kind === 'text' ? choice.logprobs : undefined;
  if (logprobs !== undefined) choice.logprobs = undefined;
  stream.out.push({ type: `${kind}_delta`, block: open.block, text, ...(logprobs !== undefined && { logprobs }) });
}

function opened(stream: Stream, choice: Choice, kind: Prose): NonNullable<Choice['open']> {
  if (choice.open?.kind === kind) return choice.open;
  closeProse(stream, choice);
  closeCompleteCalls(stream, choice);
  const block = stream.blocks++;
  choice.open = { kind, block, text: '' };
  stream.out.push({ type: `${kind}_start`, block, choice: choice.index });
  return choice.open;
}

function closeProse(stream: Stream, choice: Choice): void {
  if (choice.open === undefined) return;
  stream.out.push({ type: `${choice.open.kind}_end`, block: choice.open.block });
  choice.open = undefined;
}

function readPlainReasoning(stream: Stream, choice: Choice, delta: Json): void {
  prose(stream, choice, 'reasoning', reasoningText(delta));
}

/** Their text counts only where the delta has no plain copy of it, and where it does not repeat a whole block to sign it. */
function readDetails(stream: Stream, choice: Choice, delta: Json): void {
  const copied = reasoningText(delta) !== '';
  for (const detail of listOf(delta.reasoning_details).map(readDetail)) {
    if (detail.redacted !== undefined) redacted(stream, choice, detail.redacted);
    const { text, signature } = detail;
    const repeats = signature !== undefined && choice.open?.kind === 'reasoning' && choice.open.text === text;
    if (!copied && !repeats) prose(stream, choice, 'reasoning', text);
    if (signature !== undefined) sign(stream, choice, signature);
  }
}

function redacted(stream: Stream, choice: Choice, data: string): void {
  if (data === '') return;
  closeProse(stream, choice);
  const block = stream.blocks++;
  stream.out.push({ type: 'reasoning_start', block, choice: choice.index, redacted: data }, { type: 'reasoning_end', block });
}

function sign(stream: Stream, choice: Choice, signature: string): void {
  const { block } = opened(stream, choice, 'reasoning');
  stream.out.push({ type: 'reasoning_signature', block, signature });
  closeProse(stream, choice);
}

function readContent(stream: Stream, choice: Choice, delta: Json): void {
  if (typeof delta.content === 'string') return prose(stream, choice, 'text', delta.content);
  for (const part of readAnswerContent(delta.content)) {
    if (part.type === 'native') stream.out.push({ type: 'native', choice: choice.index, part });
    else prose(stream, choice, part.type, part.text);
  }
}

function readToolCalls(stream: Stream, choice: Choice, delta: Json): void {
  for (const call of listOf(delta.tool_calls)) readCallDelta(stream, choice, call);
}

function readCallDelta(stream: Stream, choice: Choice, delta: Json): void {
  const piece = readPiece(delta);
  const call = callOf(choice.calls, piece) ?? newCall(stream, choice, piece.index);
  if (call.state === 'closed') {
    if (piece.arguments.trim() !== '') throw badResponse('a tool call goes on after its arguments were complete');
    return;
  }
  call.arguments += piece.arguments;
  if (call.state === 'unnamed') startCall(stream, choice, call, piece);
  else if (piece.arguments !== '') stream.out.push({ type: 'tool_call_delta', block: call.block, arguments: piece.arguments });
}

function newCall(stream: Stream, choice: Choice, index: number | undefined): Call {
  closeProse(stream, choice);
  closeCompleteCalls(stream, choice);
  const call: Call = { block: stream.blocks++, index, id: '', name: '', arguments: '', state: 'unnamed' };
  choice.calls.push(call);
  return call;
}

/** Once the name is known; what came before it is told then. */
function startCall(stream: Stream, choice: Choice, call: Call, { id, name }: { id: string; name: string }): void {
  call.id ||= id;
  call.name = name;
  if (name === '') return;
  call.state = 'open';
  call.id ||= mintedId(stream.id, choice.index)(choice.calls.indexOf(call));
  stream.out.push({ type: 'tool_call_start', block: call.block, choice: choice.index, id: call.id, name });
  if (call.arguments !== '') stream.out.push({ type: 'tool_call_delta', block: call.block, arguments: call.arguments });
}

/**
 * Before another block begins: a call whose arguments are whole is over, so that encoders which write one block at a time need not wait.
 * One whose arguments are not may yet go on, since some providers send the pieces of several calls by turns.
 */
function closeCompleteCalls(stream: Stream, choice: Choice): void {
  for (const call of choice.calls) if (call.state === 'open' && isComplete(call.arguments)) closeCall(stream, call);
}

function closeCall(stream: Stream, call: Call): void {
  call.state = 'closed';
  stream.out.push({ type: 'tool_call_end', block: call.block });
}

function closeBlocks(stream: Stream): void {
  for (const choice of stream.choices.values()) {
    closeProse(stream, choice);
    for (const call of choice.calls) if (call.state === 'open') closeCall(stream, call);
  }
}

/** Without `[DONE]` the answer is whole only if every choice told why it ended; some providers never send the marker. */
function transportEnded(stream: Stream): void {
  const choices = [...stream.choices.values()];
  if (choices.length > 0 && choices.every((choice) => choice.finish !== undefined)) return end(stream);
  closeBlocks(stream);
  stream.state = 'over';
}

function end(stream: Stream): void {
  start(stream, {});
  closeBlocks(stream);
  for (const { index, finish, calls, logprobs } of stream.choices.values()) {
    const reason = finishOf(finish, calls.length > 0);
    stream.out.push({ type: 'finish', choice: index, reason, ...(logprobs !== undefined && { logprobs }) });
  }
  stream.out.push({ type: 'end' });
  stream.state = 'over';
}
