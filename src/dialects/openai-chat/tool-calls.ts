/** Tool calls of answers, whole and in pieces. */
import type { ToolCallPart } from '../../core/chat.ts';
import { type Json, isObject, listOf, objectOf, textOf } from '../../core/read.ts';

/** Ids for calls that come without one; those of other answers in the same conversation must differ. */
export function mintedId(answerId: string, choice: number): (call: number) => string {
  return (call) => `call_${answerId.replaceAll(/[^\w-]/g, '_')}_${choice}_${call}`;
}

/** The calls of a whole message. */
export function readToolCalls(message: Json, mint: (call: number) => string): ToolCallPart[] {
  const calls = listOf(message.tool_calls).map((call, position) => readCall(specOf(call), textOf(call.id) || mint(position)));
  // The single call of 2023; Snowflake sends it blank beside everything else.
  const legacy = objectOf(message.function_call);
  return calls.length > 0 || textOf(legacy.name) === '' ? calls : [readCall(legacy, mint(0))];
}

function readCall(spec: Json, id: string): ToolCallPart {
  return { type: 'tool_call', id, name: textOf(spec.name), arguments: readArguments(spec) };
}

/** Name and arguments of a call or of a piece of one; those of a custom tool stand under `custom`. */
function specOf(call: Json): Json {
  return objectOf(call.function ?? call.custom);
}

/** Arguments are JSON text (free text for custom tools); Ollama's kin send the object itself. */
function readArguments(spec: Json): string {
  const value = spec.arguments ?? spec.input;
  return isObject(value) ? JSON.stringify(value) : textOf(value);
}

export interface Call {
  /** Number of the block it becomes. */
  block: number;
  index: number | undefined;
  id: string;
  name: string;
  /** All pieces so far. */
  arguments: string;
  state: 'unnamed' | 'open' | 'closed';
}

export interface Piece {
  index: number | undefined;
  id: string;
  name: string;
  arguments: string;
}

export function readPiece(delta: Json): Piece {
  const spec = specOf(delta);
  return {
    index: typeof delta.index === 'number' ? delta.index : undefined,
    id: textOf(delta.id),
    name: textOf(spec.name),
    arguments: readArguments(spec),
  };
}

/**
 * The call of `calls` (in order of their beginning) that `piece` continues; undefined where it begins a new one.
 *
 * OpenAI numbers the calls, and names and identifies each in its first piece only. Others number every call 0 (Ollama, Dynamo), number none
 * (Gemini's imitation), repeat name or id in every piece, make a new id for every piece, send no ids at all, or send pieces of several calls by turns.
 */
export function callOf(calls: readonly Call[], piece: Piece): Call | undefined {
  const identified = piece.id === '' ? undefined : calls.findLast((call) => call.id === piece.id);
  if (identified !== undefined) return identified;
  const placed = piece.index === undefined ? calls.at(-1) : calls.findLast((call) => call.index === piece.index);
  return placed === undefined || begins(piece, placed) ? undefined : placed;
}

/** Whether a piece at the place of a known call is the first of another. Arguments that have begun and are not whole must go on. */
function begins(piece: Piece, placed: Call): boolean {
  if (piece.name === '' || placed.state === 'unnamed') return false;
  if (piece.name !== placed.name || isComplete(placed.arguments)) return true;
  return piece.id !== '' && placed.arguments.trim() === '';
}

/** Whether the arguments are a whole JSON object, so that no further piece can come. */
export function isComplete(text: string): boolean {
  try {
    return isObject(JSON.parse(text));
  } catch {
    return false;
  }
}
