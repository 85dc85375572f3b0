/** What tests of dialects share: feeding streams, checking the grammar of core/parts.ts, and putting parts together again. */
import type { AssistantPart, ChatChoice, FinishReason } from '../../src/core/chat.ts';
import type { StreamPart, UpstreamFailure } from '../../src/core/parts.ts';
import type { Usage } from '../../src/core/usage.ts';
import type { Dialect } from '../../src/dialects/dialect.ts';
import { createSseParser } from '../../src/lib/sse-parser.ts';

/** The parts of a whole stream that arrives in the given chunks. */
export function decodeStream(dialect: Dialect, chunks: readonly Buffer[]): StreamPart[] {
  const decoder = dialect.stream.decoder();
  const parts: StreamPart[] = [];
  const parser = createSseParser({ maxEventBytes: 8_000_000, onEvent: (event) => void parts.push(...decoder.decode(event)) });
  for (const chunk of chunks) parser.push(chunk);
  parser.end();
  return [...parts, ...decoder.finish()];
}

/** The bytes in pieces of `size`, the last one shorter. */
export function slices(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

/** What breaks the grammar of core/parts.ts, in words; empty where nothing does. */
export function grammarErrors(parts: readonly StreamPart[]): string[] {
  const errors: string[] = [];
  const open = new Map<number, string>();
  const used = new Set<number>();
  const finished = new Set<number>();
  let over = false;
  parts.forEach((part, at) => {
    const say = (what: string) => errors.push(`${at} ${part.type}: ${what}`);
    if (over) say('after the end');
    if (part.type === 'error') {
      over = true;
      return;
    }
    if ((part.type === 'start') !== (at === 0)) say('start must be first, and only there');
    if (part.type === 'end') {
      over = true;
      if (open.size > 0) say('blocks are open');
      if (finished.size === 0) say('no choice finished');
      return;
    }
    if (part.type === 'finish') {
      if (finished.has(part.choice)) say('second finish of the choice');
      finished.add(part.choice);
      return;
    }
    if (finished.size > 0) say('after a finish');
    if (!('block' in part)) return;
    const kind = part.type.replace(/_(start|delta|end|signature)$/, '');
    if (part.type.endsWith('_start')) {
      if (used.has(part.block)) say(`block ${part.block} was used before`);
      used.add(part.block);
      open.set(part.block, kind);
    } else {
      if (open.get(part.block) !== kind) say(`block ${part.block} is not an open ${kind}`);
      if (part.type.endsWith('_end')) open.delete(part.block);
    }
  });
  return errors;
}

export interface Assembled {
  id: string;
  model: string;
  choices: ChatChoice[];
  usage: Usage | undefined;
  /** The terminal event was seen. */
  ended: boolean;
  failure: UpstreamFailure | undefined;
}

/** The whole answer that a stream of parts tells. */
export function assemble(parts: readonly StreamPart[]): Assembled {
  const blocks = new Map<number, AssistantPart>();
  const contents = new Map<number, AssistantPart[]>();
  const finishes = new Map<number, { finish: FinishReason; stopSequence?: string }>();
  const whole: Assembled = { id: '', model: '', choices: [], usage: undefined, ended: false, failure: undefined };
  const content = (choice: number): AssistantPart[] => {
    const list = contents.get(choice) ?? [];
    contents.set(choice, list);
    return list;
  };
  const open = (block: number, choice: number, part: AssistantPart) => {
    blocks.set(block, part);
    content(choice).push(part);
  };
  for (const part of parts) {
    const into = 'block' in part ? blocks.get(part.block) : undefined;
    if (part.type === 'start') Object.assign(whole, { id: part.id, model: part.model });
    else if (part.type === 'text_start') open(part.block, part.choice, { type: 'text', text: '' });
    else if (part.type === 'refusal_start') open(part.block, part.choice, { type: 'refusal', text: '' });
    else if (part.type === 'tool_call_start')
      open(part.block, part.choice, { type: 'tool_call', id: part.id, name: part.name, arguments: '' });
    else if (part.type === 'reasoning_start')
      open(part.block, part.choice, {
        type: 'reasoning',
        text: '',
        ...(part.redacted !== undefined && { redacted: part.redacted }),
      });
    else if (part.type === 'tool_call_delta' && into?.type === 'tool_call') into.arguments += part.arguments;
    else if (part.type === 'reasoning_signature' && into?.type === 'reasoning') into.signature = part.signature;
    else if ('text' in part && into !== undefined && 'text' in into) into.text += part.text;
    else if (part.type === 'native') content(part.choice).push(part.part);
    else if (part.type === 'usage') whole.usage = part.usage;
    else if (part.type === 'finish')
      finishes.set(part.choice, {
        finish: part.reason,
        ...(part.stopSequence !== undefined && { stopSequence: part.stopSequence }),
      });
    else if (part.type === 'end') whole.ended = true;
    else if (part.type === 'error') whole.failure = part.error;
  }
  whole.choices = [...new Set([...contents.keys(), ...finishes.keys()])]
    .sort((a, b) => a - b)
    .map((index) =>
      Object.assign({ index, content: contents.get(index) ?? [], finish: 'unknown' as const }, finishes.get(index)),
    );
  return whole;
}
