/**
 * Watches a relayed stream. Only `message_start`, `message_delta` and `error` are parsed; the event's name is compared as bytes, because
 * nine events in ten are deltas that tell us nothing.
 */
import { type Findings, type StreamTap, noFindings } from '../../core/tap.ts';
import { isObject, objectOf } from '../../core/read.ts';
import { parseSseEvent } from '../../lib/sse-parser.ts';
import type { JsonObject } from '../dialect.ts';
import { decodeFailure } from './error.ts';
import { decodeUsage, mergeUsage } from './usage.ts';

interface TapState extends Findings {
  /** Usage as Anthropic wrote it, merged over the events that carry some. */
  raw: JsonObject | undefined;
}

type See = (tap: TapState, event: Buffer) => void;

/** The commonest event first: names are tried in this order. */
const SEE: Readonly<Record<string, See>> = {
  content_block_delta: (tap) => {
    tap.sawContent = true;
  },
  content_block_start: (tap, event) => {
    // A tool call may have no arguments and so no delta; tool_use, server_tool_use, mcp_tool_use.
    if (event.includes('tool_use"')) tap.sawContent = true;
  },
  message_start: (tap, event) => {
    const { message } = dataOf(event);
    if (!isObject(message)) return;
    if (typeof message.model === 'string') tap.model = message.model;
    account(tap, message.usage);
  },
  message_delta: (tap, event) => {
    const { delta, usage } = dataOf(event);
    if (isObject(delta) && typeof delta.stop_reason === 'string') tap.finish = delta.stop_reason;
    account(tap, usage);
  },
  message_stop: (tap) => {
    tap.state = 'done';
  },
  error: (tap, event) => {
    tap.state = 'error';
    tap.failure = decodeFailure(200, dataOf(event));
  },
};

const NAMES = Object.keys(SEE).map((name) => ({ name, bytes: Buffer.from(name) }));
/** In the name of every event but the content's, whether it stands in an `event:` line or in the data. Looked for as in the tap of openai-chat. */
const TELLING = /message_|error/;
const EVENT_FIELD = Buffer.from('event:');
const SPACE = 0x20;
const CR = 0x0d;
const LF = 0x0a;

/** A tap for one stream. The bytes always go on as they came: usage is part of every Anthropic stream, so nothing is ever taken out. */
export function messagesTap(): StreamTap {
  const tap: TapState = { ...noFindings(), raw: undefined };
  return Object.assign(tap, {
    see(event: Buffer): boolean {
      if (tap.state === 'open') SEE[nameOf(event)]?.(tap, event);
      return true;
    },
    isDull: (events: Buffer) => tap.sawContent && tap.state === 'open' && !TELLING.test(events.toString('latin1')),
  });
}

function account(tap: TapState, usage: unknown): void {
  tap.raw = mergeUsage(tap.raw, usage);
  tap.usage = decodeUsage(tap.raw);
}

/** The event's name: from its `event:` line, which Anthropic puts first, else from its data (some imitators send no name). */
function nameOf(event: Buffer): string {
  if (!startsWith(event, EVENT_FIELD, 0)) return nameInside(event);
  const start = event[EVENT_FIELD.length] === SPACE ? EVENT_FIELD.length + 1 : EVENT_FIELD.length;
  for (const { name, bytes } of NAMES) {
    if (startsWith(event, bytes, start) && endsLine(event[start + bytes.length])) return name;
  }
  return '';
}

/** Byte by byte: on names this short five times as fast as Buffer.compare, which checks its five arguments first. */
function startsWith(event: Buffer, bytes: Buffer, at: number): boolean {
  for (let index = 0; index < bytes.length; index += 1) {
    if (event[at + index] !== bytes[index]) return false;
  }
  return true;
}

const endsLine = (byte: number | undefined): boolean => byte === undefined || byte === LF || byte === CR;

function nameInside(event: Buffer): string {
  const { type } = dataOf(event);
  return typeof type === 'string' && Object.hasOwn(SEE, type) ? type : '';
}

/** The event's data as an object; empty where it is none. A relay never fails for what it only watches. */
function dataOf(event: Buffer): JsonObject {
  try {
    return objectOf(JSON.parse(parseSseEvent(event)?.data ?? '{}'));
  } catch {
    return {};
  }
}
