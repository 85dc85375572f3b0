/** What tests of dialects share: feeding streams, checking the grammar of core/parts.ts, and putting parts together again. */
import type { AssistantPart, ChatChoice, ChatResponse, FinishReason } from '../../src/core/chat.ts';
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
  const choiceOf = new Map<number, number>();
  const tokens: [choice: number, logprobs: unknown][] = [];
  const open = (block: number, choice: number, part: AssistantPart) => {
    blocks.set(block, part);
    choiceOf.set(block, choice);
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
    else if ('text' in part && into !== undefined && 'text' in into) {
      into.text += part.text;
      if (part.type === 'text_delta' && part.logprobs !== undefined) tokens.push([choiceOf.get(part.block) ?? 0, part.logprobs]);
    } else if (part.type === 'native') content(part.choice).push(part.part);
    else if (part.type === 'usage') whole.usage = part.usage;
    else if (part.type === 'finish') {
      finishes.set(part.choice, {
        finish: part.reason,
        ...(part.stopSequence !== undefined && { stopSequence: part.stopSequence }),
      });
      if (part.logprobs !== undefined) tokens.push([part.choice, part.logprobs]);
    } else if (part.type === 'end') whole.ended = true;
    else if (part.type === 'error') whole.failure = part.error;
  }
  whole.choices = [...new Set([...contents.keys(), ...finishes.keys()])]
    .sort((a, b) => a - b)
    .map((index) =>
      Object.assign(
        { index, content: contents.get(index) ?? [], finish: 'unknown' as const },
        finishes.get(index),
        joinedLogprobs(tokens.filter(([choice]) => choice === index).map(([, logprobs]) => logprobs)),
      ),
    );
  return whole;
}

/** openai-chat's logprobs of the deltas as those of the whole answer; nothing where there are none. */
function joinedLogprobs(pieces: readonly unknown[]): { logprobs?: unknown } {
  if (pieces.length === 0) return {};
  const lists = (name: 'content' | 'refusal') => {
    const found = pieces.flatMap((piece) => (piece as Record<string, unknown[] | null | undefined>)[name] ?? []);
    return found.length > 0 ? found : null;
  };
  return { logprobs: { content: lists('content'), refusal: lists('refusal') } };
}

/** A whole answer as the stream that would tell it, every text in pieces of at most `size` characters. */
export function partsOf(answer: ChatResponse, size = 7): StreamPart[] {
  let block = 0;
  const { id, model, createdS, serviceTier, systemFingerprint } = answer;
  const cut = (text: string) => text.match(new RegExp(`[^]{1,${size}}`, 'gu')) ?? [];
  const blockOf = (part: AssistantPart, choice: number): StreamPart[] => {
    const at = { block: block++, choice };
    if (part.type === 'native') return [{ type: 'native', choice, part }];
    if (part.type === 'tool_call') {
      const deltas = cut(part.arguments).map((text) => ({ type: 'tool_call_delta' as const, block: at.block, arguments: text }));
      return [
        { type: 'tool_call_start', ...at, id: part.id, name: part.name },
        ...deltas,
        { type: 'tool_call_end', block: at.block },
      ];
    }
    const { type } = part;
    const redacted = type === 'reasoning' && part.redacted !== undefined ? { redacted: part.redacted } : {};
    const signature = type === 'reasoning' ? part.signature : undefined;
    return [
      { type: `${type}_start`, ...at, ...redacted },
      ...cut(part.text).map((text) => ({ type: `${type}_delta` as const, block: at.block, text })),
      ...(signature === undefined ? [] : [{ type: 'reasoning_signature' as const, block: at.block, signature }]),
      { type: `${type}_end`, block: at.block },
    ];
  };
  return [
    {
      type: 'start',
      id,
      model,
      createdS,
      ...(serviceTier !== undefined && { serviceTier }),
      ...(systemFingerprint !== undefined && { systemFingerprint }),
    },
    ...answer.choices.flatMap((choice) => choice.content.flatMap((part) => blockOf(part, choice.index))),
    ...(answer.usage === undefined ? [] : [{ type: 'usage' as const, usage: answer.usage }]),
    ...answer.choices.map((choice) => ({
      type: 'finish' as const,
      choice: choice.index,
      reason: choice.finish,
      ...(choice.stopSequence !== undefined && { stopSequence: choice.stopSequence }),
      ...(choice.logprobs !== undefined && { logprobs: choice.logprobs }),
    })),
    { type: 'end' },
  ];
}
