/**
 * Parts as content blocks: of requests (towards Anthropic) and of answers (towards its clients).
 */
import type {
  AssistantPart,
  FilePart,
  ImagePart,
  NativePart,
  TextPart,
  ToolResultPart,
  UserPart,
  Warning,
} from '../../core/chat.ts';
import { isObject, objectOf, unsupported } from '../../core/read.ts';
import { ANNOTATION, type Block, DIALECT, cacheControlField, inputOf, toolId } from './wire.ts';

interface EncodeContext {
  /** Path of the part in the caller's body, for warnings and refusals. */
  path: string;
  warn: (warning: Warning) => void;
}

type Write<Part> = (part: Part, context: EncodeContext) => Block | undefined;
type WriteTable<Part extends { type: string }> = { [Type in Part['type']]: Write<Extract<Part, { type: Type }>> };

const USER_PARTS: WriteTable<UserPart> = {
  text: writeText,
  image: writeImage,
  file: writeFile,
  audio: (_part, { path }) => {
    throw unsupported(path, 'audio input has no equivalent in the Messages API');
  },
  tool_result: writeToolResult,
  native: (part, { path }) => {
    if (part.dialect === DIALECT) return { ...part.value } as Block;
    throw unsupported(path, `${String(part.value.type)} content has no equivalent in the Messages API`);
  },
};

const ASSISTANT_PARTS: WriteTable<AssistantPart> = {
  text: writeText,
  reasoning: (part, { path, warn }) => {
    if (part.redacted !== undefined) return { type: 'redacted_thinking', data: part.redacted };
    if (part.signature !== undefined) return { type: 'thinking', thinking: part.text, signature: part.signature };
    // Anthropic refuses thinking that it did not sign itself.
    warn({ param: path, reason: 'reasoning without a signature cannot be sent back' });
    return undefined;
  },
  tool_call: (part) => ({
    type: 'tool_use',
    id: toolId(part.id),
    name: part.name,
    input: inputOf(part.arguments),
    ...cacheControlField(part),
  }),
  refusal: writeText,
  native: (part, { path, warn }) => {
    if (part.dialect === DIALECT) return { ...part.value } as Block;
    warn({ param: path, reason: `${nativeName(part)} of another API is left out` });
    return undefined;
  },
};

/** What a part of another dialect holds, for a warning. */
export function nativeName({ value }: NativePart): string {
  return value.type === ANNOTATION ? Object.keys(objectOf(value.fields)).join(', ') : `${String(value.type)} content`;
}

/** The blocks of a user message, in the caller's order. */
export function encodeUserContent(parts: readonly UserPart[], context: EncodeContext): Block[] {
  return encodeParts(USER_PARTS, parts, context);
}

/** The blocks of an assistant turn in a request: unsigned reasoning is left out with a warning. */
export function encodeAssistantContent(parts: readonly AssistantPart[], context: EncodeContext): Block[] {
  return encodeParts(ASSISTANT_PARTS, parts, context);
}

/** The blocks of an answer: reasoning of any provider is shown, with an empty signature where none was made. */
export function encodeAnswerContent(parts: readonly AssistantPart[], warn: (warning: Warning) => void): Block[] {
  const table: WriteTable<AssistantPart> = { ...ASSISTANT_PARTS, reasoning: writeAnswerReasoning };
  return encodeParts(table, parts, { path: 'content', warn });
}

function writeAnswerReasoning(part: { text: string; signature?: string; redacted?: string }): Block {
  if (part.redacted !== undefined) return { type: 'redacted_thinking', data: part.redacted };
  return { type: 'thinking', thinking: part.text, signature: part.signature ?? '' };
}

/** Text blocks without the empty ones, which Anthropic refuses and which say nothing. */
export function encodeTexts(parts: readonly TextPart[]): Block[] {
  return parts.flatMap((part) => writeText(part) ?? []);
}

function encodeParts<Part extends { type: string }>(
  table: WriteTable<Part>,
  parts: readonly Part[],
  context: EncodeContext,
): Block[] {
  const blocks: Block[] = [];
  parts.forEach((part, index) => {
    const write = table[part.type as Part['type']] as Write<Part>;
    const block = write(part, { ...context, path: `${context.path}[${index}]` });
    if (block !== undefined && !annotated(blocks, block)) blocks.push(block);
  });
  return blocks;
}

/** Puts the fields of an annotation on the block before it. */
function annotated(blocks: Block[], block: Block): boolean {
  if (block.type !== ANNOTATION) return false;
  const last = blocks.at(-1);
  if (last !== undefined && isObject(block.fields)) Object.assign(last, block.fields);
  return true;
}

function writeText(part: Pick<TextPart, 'text' | 'cacheControl'>): Block | undefined {
  return part.text === '' ? undefined : { type: 'text', text: part.text, ...cacheControlField(part) };
}

function writeImage(part: ImagePart, { path, warn }: EncodeContext): Block {
  if (part.detail !== undefined && part.detail !== 'auto') {
    warn({ param: `${path}.image_url.detail`, reason: 'the resolution of images cannot be chosen' });
  }
  return { type: 'image', source: imageSource(part.source), ...cacheControlField(part) };
}

function imageSource(source: ImagePart['source']) {
  if (source.kind === 'url') return { type: 'url', url: source.url };
  return { type: 'base64', media_type: source.mediaType, data: source.data };
}

function writeFile(part: FilePart, { path }: EncodeContext): Block {
  const { source } = part;
  if (source.kind === 'base64' && source.mediaType.startsWith('image/')) {
    return { type: 'image', source: imageSource(source), ...cacheControlField(part) };
  }
  return {
    type: 'document',
    source: documentSource(source, path),
    ...(part.filename !== undefined && { title: part.filename }),
    ...cacheControlField(part),
  };
}

function documentSource(source: FilePart['source'], path: string) {
  switch (source.kind) {
    case 'url':
      return { type: 'url', url: source.url };
    case 'id':
      return { type: 'file', file_id: source.id };
    case 'text':
      return { type: 'text', media_type: 'text/plain', data: source.text };
    case 'base64':
      return base64Document(source.mediaType, source.data, path);
  }
}

/** Only PDF travels as base64; text of any kind must be plain text, and nothing else can be read. */
function base64Document(mediaType: string, data: string, path: string) {
  if (mediaType === 'application/pdf') return { type: 'base64', media_type: mediaType, data };
  if (mediaType.startsWith('text/') || mediaType === 'application/json') {
    return { type: 'text', media_type: 'text/plain', data: Buffer.from(data, 'base64').toString('utf8') };
  }
  throw unsupported(path, `files of type ${mediaType} are not taken`);
}

function writeToolResult(part: ToolResultPart, context: EncodeContext): Block {
  const content = part.content.flatMap((inner, index) => {
    const at = { ...context, path: `${context.path}.content[${index}]` };
    if (inner.type === 'text') return writeText(inner) ?? [];
    return inner.type === 'image' ? writeImage(inner, at) : writeFile(inner, at);
  });
  return {
    type: 'tool_result',
    tool_use_id: toolId(part.callId),
    ...(content.length > 0 && { content }),
    ...(part.isError !== undefined && { is_error: part.isError }),
    ...cacheControlField(part),
  };
}
