/**
 * Content blocks of requests and answers, as parts.
 *
 * Not kept apart, since no model sees a difference: a `content` string and the same text as one block; `is_error` absent or null;
 * `caller: {type: 'direct'}`. Blocks that only Anthropic knows become native parts, whole.
 */
import type {
  AssistantPart,
  FilePart,
  ImagePart,
  NativePart,
  TextPart,
  ToolCallPart,
  ToolResultPart,
  UserPart,
} from '../../core/chat.ts';
import { compact, invalid, isObject, may, must } from '../../core/read.ts';
import type { JsonObject } from '../dialect.ts';
import { ANNOTATION, type Block, DIALECT, decodeCacheControl, entry } from './wire.ts';

type Read<Part> = (block: Block, path: string) => (Part | NativePart)[];

const USER_BLOCKS: Readonly<Record<string, Read<UserPart>>> = {
  text: readText,
  image: readImage,
  document: readDocument,
  tool_result: (block, path) => [readToolResult(block, path), ...annotation({ toolset_name: block.toolset_name })],
};

const ASSISTANT_BLOCKS: Readonly<Record<string, Read<AssistantPart>>> = {
  text: readText,
  thinking: (block, path) => [
    { type: 'reasoning', text: must('string', block.thinking, `${path}.thinking`), ...signatureOf(block, path) },
  ],
  redacted_thinking: (block, path) => [{ type: 'reasoning', text: '', redacted: must('string', block.data, `${path}.data`) }],
  tool_use: (block, path) => [
    readToolUse(block, path),
    ...annotation({ caller: callerOf(block), toolset_name: block.toolset_name }),
  ],
};

export function decodeUserContent(content: unknown, path: string): UserPart[] {
  return decodeContent(USER_BLOCKS, content, path);
}

/** Also an answer's content; then with the path `content`. */
export function decodeAssistantContent(content: unknown, path: string): AssistantPart[] {
  return decodeContent(ASSISTANT_BLOCKS, content, path);
}

/** A system prompt: a string or text blocks. */
export function decodeSystemContent(content: unknown, path: string): TextPart[] {
  return blocksOf(content, path).map((block, index) => {
    const at = `${path}[${index}]`;
    if (block.type !== 'text') throw invalid(`${at}.type`, "Input should be 'text'");
    return textPart(block, at);
  });
}

/** A block that only this dialect understands, kept as it came. */
export function native(value: JsonObject): NativePart {
  return { type: 'native', dialect: DIALECT, value };
}

/** The fields that are there (not null, not undefined, not empty) as the annotation of the part before; or nothing. */
export function annotation(fields: JsonObject): NativePart[] {
  const present = Object.entries(fields).filter(
    ([, value]) => value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0),
  );
  return present.length === 0 ? [] : [native({ type: ANNOTATION, fields: Object.fromEntries(present) })];
}

export function callerOf(block: JsonObject): unknown {
  return isObject(block.caller) && block.caller.type === 'direct' ? undefined : block.caller;
}

function decodeContent<Part>(table: Readonly<Record<string, Read<Part>>>, content: unknown, path: string): (Part | NativePart)[] {
  return blocksOf(content, path).flatMap((block, index) => {
    const read = entry(table, block.type);
    return read === undefined ? [native(block)] : read(block, `${path}[${index}]`);
  });
}

function blocksOf(content: unknown, path: string): Block[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }];
  return must('array', content, path).map((item, index) => {
    const block = must('object', item, `${path}[${index}]`);
    must('string', block.type, `${path}[${index}].type`);
    return block as Block;
  });
}

function readText(block: Block, path: string): (TextPart | NativePart)[] {
  return [textPart(block, path), ...annotation({ citations: block.citations })];
}

function textPart(block: Block, path: string): TextPart {
  return { type: 'text', text: must('string', block.text, `${path}.text`), ...cacheOf(block, path) };
}

function cacheOf(block: JsonObject, path: string) {
  return compact({ cacheControl: decodeCacheControl(block.cache_control, `${path}.cache_control`) });
}

function signatureOf(block: JsonObject, path: string): { signature?: string } {
  const signature = may('string', block.signature, `${path}.signature`);
  return signature === undefined || signature === '' ? {} : { signature };
}

function readImage(block: Block, path: string): (ImagePart | NativePart)[] {
  const source = must('object', block.source, `${path}.source`);
  const known = imageSource(source, `${path}.source`);
  if (known === undefined) return [native(block)];
  return [{ type: 'image', source: known, ...cacheOf(block, path) }, ...annotation({ transformations: block.transformations })];
}

/** Undefined for a file of Anthropic's Files API, which means nothing elsewhere. */
function imageSource(source: JsonObject, path: string): ImagePart['source'] | undefined {
  if (source.type === 'url') return { kind: 'url', url: must('string', source.url, `${path}.url`) };
  return source.type === 'base64' ? base64Source(source, path) : undefined;
}

function base64Source(source: JsonObject, path: string) {
  return {
    kind: 'base64' as const,
    mediaType: must('string', source.media_type, `${path}.media_type`),
    data: must('string', source.data, `${path}.data`),
  };
}

function readDocument(block: Block, path: string): (FilePart | NativePart)[] {
  const known = fileSource(must('object', block.source, `${path}.source`), `${path}.source`);
  if (known === undefined) return [native(block)];
  const filename = may('string', block.title, `${path}.title`);
  const part: FilePart = { type: 'file', source: known, ...(filename !== undefined && { filename }), ...cacheOf(block, path) };
  return [part, ...annotation({ citations: block.citations, context: block.context })];
}

/** Undefined for a `content` source: blocks inside a block. */
function fileSource(source: JsonObject, path: string): FilePart['source'] | undefined {
  switch (source.type) {
    case 'url':
      return { kind: 'url', url: must('string', source.url, `${path}.url`) };
    case 'base64':
      return base64Source(source, path);
    case 'text':
      return { kind: 'text', text: must('string', source.data, `${path}.data`) };
    case 'file':
      return { kind: 'id', id: must('string', source.file_id, `${path}.file_id`) };
    default:
      return undefined;
  }
}

function readToolUse(block: Block, path: string): ToolCallPart {
  return {
    type: 'tool_call',
    id: must('string', block.id, `${path}.id`),
    name: must('string', block.name, `${path}.name`),
    arguments: JSON.stringify(must('object', block.input ?? {}, `${path}.input`)),
    ...cacheOf(block, path),
  };
}

function readToolResult(block: Block, path: string): ToolResultPart {
  const isError = may('boolean', block.is_error, `${path}.is_error`);
  return {
    type: 'tool_result',
    callId: must('string', block.tool_use_id, `${path}.tool_use_id`),
    content: blocksOf(block.content ?? [], `${path}.content`).map((inner, index) =>
      readResultBlock(inner, `${path}.content[${index}]`),
    ),
    ...(isError !== undefined && { isError }),
    ...cacheOf(block, path),
  };
}

/** Results hold text, images and documents; anything else (search_result, tool_reference…) goes on as its own JSON, which a model can read. */
function readResultBlock(block: Block, path: string): TextPart | ImagePart | FilePart {
  const read = entry(RESULT_BLOCKS, block.type)?.(block, path)[0];
  return read === undefined || read.type === 'native' ? { type: 'text', text: JSON.stringify(block) } : read;
}

const RESULT_BLOCKS: Readonly<Record<string, Read<TextPart | ImagePart | FilePart>>> = {
  text: readText,
  image: readImage,
  document: readDocument,
};
