/** Neutral parts as the chunks a client of this dialect reads, ended by `[DONE]`. */
import type { Warning } from '../../core/chat.ts';
import { openAiFailure } from '../../core/openai-error.ts';
import type { StreamPart } from '../../core/parts.ts';
import type { Json } from '../../core/read.ts';
import type { Usage } from '../../core/usage.ts';
import type { ReplyContext, StreamEncoder } from '../dialect.ts';
import { openaiChatErrors } from './error.ts';
import { writeDetail } from './reasoning.ts';
import { warnOfPause, writeAnnotation, writeHead } from './response.ts';
import { writeUsage } from './usage.ts';
import { finishWord, onceEach, sse } from './wire.ts';

type Warn = (warning: Warning) => void;

interface Block {
  choice: Choice;
  /** Reasoning: its text so far, to be signed. Tool calls: whether arguments were sent. */
  text: string;
  /** Position among the choice's tool calls. */
  call: number;
}

interface Choice {
  index: number;
  spoken: boolean;
  calls: number;
  details: number;
}

interface Writing {
  context: ReplyContext;
  warn: Warn;
  /** `data: {…,"choices":[`, the same for every chunk. */
  head: string;
  tail: string;
  usageHead: string;
  choices: Map<number, Choice>;
  blocks: Map<number, Block>;
  usage: Usage | undefined;
  over: boolean;
}

export function openaiChatEncoder(context: ReplyContext, warn: Warn): StreamEncoder {
  const writing: Writing = {
    context,
    warn: onceEach(warn),
    ...frame({ id: '', model: '', createdS: 0 }, context),
    choices: new Map(),
    blocks: new Map(),
    usage: undefined,
    over: false,
  };
  return {
    encode: (part) => (writing.over ? '' : (WRITERS[part.type] as Writer<StreamPart>)(writing, part)),
    fail(error) {
      writing.over = true;
      return openaiChatErrors.event(error, context.requestId);
    },
  };
}

type Writer<Part> = (writing: Writing, part: Part) => string;

const WRITERS: { [Type in StreamPart['type']]: Writer<Extract<StreamPart, { type: Type }>> } = {
  start: (writing, part) => {
    Object.assign(writing, frame(part, writing.context));
    return '';
  },
  text_start: (writing, part) => begin(writing, part, { content: '' }),
  text_delta: (writing, { block, text, logprobs }) => {
    const { choice } = blockOf(writing, block);
    return chunk(writing, choice, { content: text }, logprobs === undefined ? undefined : { logprobs });
  },
  text_end: forget,
  reasoning_start: (writing, part) => {
    const role = begin(writing, part, {});
    if (part.redacted === undefined) return role;
    return role + details(writing, blockOf(writing, part.block).choice, { text: '', redacted: part.redacted });
  },
  reasoning_delta: (writing, { block, text }) => {
    const open = blockOf(writing, block);
    open.text += text;
    return chunk(writing, open.choice, { reasoning_content: text });
  },
  // The whole text again: only the details can carry a signature, and only together with what it signs.
  reasoning_signature: (writing, { block, signature }) => {
    const { choice, text } = blockOf(writing, block);
    return details(writing, choice, { text, signature });
  },
  reasoning_end: forget,
  tool_call_start: (writing, part) => {
    const role = begin(writing, part, {});
    const open = blockOf(writing, part.block);
    open.call = open.choice.calls++;
    const call = { index: open.call, id: part.id, type: 'function', function: { name: part.name, arguments: '' } };
    return role + chunk(writing, open.choice, { tool_calls: [call] });
  },
  tool_call_delta: (writing, { block, arguments: piece }) => {
    const open = blockOf(writing, block);
    open.text ||= piece.trim();
    return chunk(writing, open.choice, { tool_calls: [{ index: open.call, function: { arguments: piece } }] });
  },
  // Clients parse the arguments: none at all are an empty object.
  tool_call_end: (writing, { block }) => {
    const { choice, call, text } = blockOf(writing, block);
    forget(writing, { block });
    return text === '' ? chunk(writing, choice, { tool_calls: [{ index: call, function: { arguments: '{}' } }] }) : '';
  },
  refusal_start: (writing, part) => begin(writing, part, {}),
  refusal_delta: (writing, { block, text }) => chunk(writing, blockOf(writing, block).choice, { refusal: text }),
  refusal_end: forget,
  native: (writing, { choice: index, part }) => {
    const choice = choiceOf(writing, index);
    const deltas = writeAnnotation(part, writing.warn).map((fields) => chunk(writing, choice, fields));
    return deltas.length === 0 ? '' : speak(writing, choice, {}) + deltas.join('');
  },
  usage: (writing, { usage }) => {
    writing.usage = usage;
    return '';
  },
  finish: (writing, { choice: index, reason, logprobs }) => {
    const choice = choiceOf(writing, index);
    warnOfPause(reason, writing.warn);
    const finish_reason = finishWord(reason, choice.calls > 0);
    return (
      speak(writing, choice, { content: '' }) +
      chunk(writing, choice, {}, { finish_reason, ...(logprobs !== undefined && { logprobs }) })
    );
  },
  end: (writing) => {
    writing.over = true;
    return `${usageChunk(writing)}data: [DONE]\n\n`;
  },
  error: (writing, { error }) => {
    writing.over = true;
    return sse({ error: openAiFailure(error) });
  },
};

/** The unchanging bytes around the choices of a chunk. Once usage was asked for, every chunk but the last has it as null. */
function frame(start: Parameters<typeof writeHead>[0], context: ReplyContext): Pick<Writing, 'head' | 'tail' | 'usageHead'> {
  const head = JSON.stringify(writeHead(start, 'chat.completion.chunk', context)).slice(0, -1);
  return {
    head: `data: ${head},"choices":[`,
    tail: context.includeUsage ? '],"usage":null}\n\n' : ']}\n\n',
    usageHead: `data: ${head},"choices":[],"usage":`,
  };
}

function chunk(writing: Writing, choice: Choice, delta: Json, beside?: Json): string {
  const body = JSON.stringify({ index: choice.index, delta, finish_reason: null, ...beside });
  return writing.head + body + writing.tail;
}

function usageChunk({ context, usage, usageHead }: Writing): string {
  return context.includeUsage && usage !== undefined ? `${usageHead}${JSON.stringify(writeUsage(usage))}}\n\n` : '';
}

function choiceOf(writing: Writing, index: number): Choice {
  const known = writing.choices.get(index);
  if (known !== undefined) return known;
  const choice = { index, spoken: false, calls: 0, details: 0 };
  writing.choices.set(index, choice);
  return choice;
}

/** Opens a block; the first one of a choice brings the chunk with its role. */
function begin(writing: Writing, { block, choice: index }: { block: number; choice: number }, delta: Json): string {
  const choice = choiceOf(writing, index);
  writing.blocks.set(block, { choice, text: '', call: 0 });
  return speak(writing, choice, delta);
}

function speak(writing: Writing, choice: Choice, delta: Json): string {
  if (choice.spoken) return '';
  choice.spoken = true;
  return chunk(writing, choice, { role: 'assistant', content: null, refusal: null, ...delta });
}

function details(writing: Writing, choice: Choice, part: { text: string; signature?: string; redacted?: string }): string {
  return chunk(writing, choice, { reasoning_details: [writeDetail({ type: 'reasoning', ...part }, choice.details++)] });
}

function blockOf(writing: Writing, number: number): Block {
  const block = writing.blocks.get(number);
  if (block === undefined) throw new Error(`block ${number} was never opened`);
  return block;
}

function forget(writing: Writing, { block }: { block: number }): string {
  writing.blocks.delete(block);
  return '';
}
