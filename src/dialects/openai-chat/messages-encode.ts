/** Neutral messages as a provider of this dialect reads them. */
import type {
  AssistantPart,
  ChatMessage,
  FilePart,
  ImagePart,
  ReasoningPart,
  TextPart,
  ToolCallPart,
  ToolResultPart,
  UserPart,
  Warning,
} from '../../core/chat.ts';
import type { Quirks } from '../../core/quirks.ts';
import { type Json, compact, unsupported } from '../../core/read.ts';
import type { EncodeTarget } from '../dialect.ts';
import { writeReasoning } from './reasoning.ts';
import { DIALECT, annotationFields, argumentsText, dataUrl, onceEach } from './wire.ts';

interface Writing {
  quirks: Quirks;
  warn: (warning: Warning) => void;
}

export function encodeMessages(messages: readonly ChatMessage[], { quirks, warn }: EncodeTarget): Json[] {
  const writing = { quirks, warn: onceEach(warn) };
  return messages.flatMap((message) => {
    if (message.role === 'user') return writeUserTurn(message.content, writing);
    if (message.role === 'assistant') return [writeAssistant(message.content, writing)];
    return [{ role: message.role, content: writeContent(message.content, writing) }];
  });
}

/** Results become messages of their own, first of all, as they must follow the calls; what they cannot hold comes right after them. */
function writeUserTurn(parts: readonly UserPart[], writing: Writing): Json[] {
  const results = parts.filter((part) => part.type === 'tool_result');
  const rest = parts.filter((part) => part.type !== 'tool_result');
  const media = results.flatMap((result) => mediaOf(result, writing));
  const said = [...media, ...rest];
  return [
    ...results.map((result) => writeToolResult(result, writing)),
    ...(said.length > 0 || results.length === 0 ? [{ role: 'user', content: writeContent(said, writing) }] : []),
  ];
}

/** Tool messages hold text only. An agent that looked at a picture must still see it. */
function mediaOf(result: ToolResultPart, { warn }: Writing): (TextPart | ImagePart | FilePart)[] {
  const media = result.content.filter(isMedia);
  if (media.length === 0) return [];
  warn({ param: 'messages[].tool_result.content', reason: 'images and files of tool results are sent as a user message' });
  return [{ type: 'text', text: `Content of the result of tool call ${result.callId}:` }, ...media];
}

function isMedia(part: TextPart | ImagePart | FilePart): boolean {
  return part.type === 'image' || (part.type === 'file' && part.source.kind !== 'text');
}

function writeToolResult(result: ToolResultPart, writing: Writing): Json {
  if (result.isError === true) {
    writing.warn({ param: 'messages[].tool_result.is_error', reason: 'only the text of a result tells that it failed' });
  }
  return {
    role: 'tool',
    tool_call_id: result.callId,
    content: writeContent(
      result.content.filter((part) => !isMedia(part)),
      writing,
    ),
    ...cacheField(result, writing),
  };
}

type WritePart<Part> = (part: Part, writing: Writing) => Json;

const USER_PARTS: { [Type in UserPart['type']]: WritePart<Extract<UserPart, { type: Type }>> } = {
  text: writeText,
  image: (part, writing) => ({ type: 'image_url', image_url: writeImage(part), ...cacheField(part, writing) }),
  file: writeFile,
  audio: ({ data, format }) => ({ type: 'input_audio', input_audio: { data, format } }),
  tool_result: () => {
    throw unsupported('messages', 'a tool result cannot stand inside another part');
  },
  native: ({ dialect, value }) => {
    if (dialect === DIALECT) return value;
    throw unsupported('messages', `${String(value.type)} content has no equivalent in Chat Completions`);
  },
};

/** Content as a string where it is one plain text: many imitators read nothing else. */
function writeContent(parts: readonly UserPart[], writing: Writing): string | Json[] {
  const said = parts.filter((part) => !isForeignAnnotation(part, writing));
  if (said.length === 0) return '';
  const written = said.map((part) => (USER_PARTS[part.type] as WritePart<UserPart>)(part, writing));
  const [only] = written;
  return written.length === 1 && only?.type === 'text' && only.cache_control === undefined ? String(only.text) : written;
}

/** Options of the part before (citations), which another dialect keeps beside it. */
function isForeignAnnotation(part: UserPart, { warn }: Writing): boolean {
  if (part.type !== 'native' || part.dialect === DIALECT || part.value.type !== 'annotation') return false;
  warn({ param: 'messages[].content[]', reason: `options of another API are left out: ${foreignFields(part.value.fields)}` });
  return true;
}

function foreignFields(fields: unknown): string {
  return fields instanceof Object ? Object.keys(fields).join(', ') : '';
}

function writeText(part: TextPart, writing: Writing): Json {
  return { type: 'text', text: part.text, ...cacheField(part, writing) };
}

function writeImage({ source, detail }: ImagePart): Json {
  return compact({ url: source.kind === 'url' ? source.url : dataUrl(source), detail });
}

function writeFile(part: FilePart, writing: Writing): Json {
  const { source, filename } = part;
  switch (source.kind) {
    case 'text':
      return { type: 'text', text: source.text, ...cacheField(part, writing) };
    case 'id':
      return { type: 'file', file: { file_id: source.id }, ...cacheField(part, writing) };
    case 'base64':
      // OpenAI takes no data without a name.
      return {
        type: 'file',
        file: { filename: filename ?? 'document.pdf', file_data: dataUrl(source) },
        ...cacheField(part, writing),
      };
    case 'url':
      throw unsupported('messages', 'files by URL cannot be sent; send their content');
  }
}

function cacheField(part: { cacheControl?: unknown }, { quirks }: Writing): Json {
  return quirks.cacheControl === true && part.cacheControl !== undefined ? { cache_control: part.cacheControl } : {};
}

interface Sorted {
  texts: TextPart[];
  reasoning: ReasoningPart[];
  refusal: string;
  calls: Json[];
  annotations: Json;
}

const ASSISTANT_PARTS: {
  [Type in AssistantPart['type']]: (sorted: Sorted, part: Extract<AssistantPart, { type: Type }>, writing: Writing) => void;
} = {
  text: ({ texts }, part) => void texts.push(part),
  reasoning: ({ reasoning }, part) => void reasoning.push(part),
  refusal: (sorted, part) => void (sorted.refusal += part.text),
  tool_call: ({ calls }, part, writing) => void calls.push(writeToolCall(part, writing)),
  native: (sorted, part, { warn }) => {
    const fields = annotationFields(part);
    // Of annotations only spoken answers go back: citations and pictures tell the model nothing.
    if (fields !== undefined) Object.assign(sorted.annotations, audioReference(fields.audio));
    else if (part.dialect === DIALECT && typeof part.value.id === 'string') sorted.calls.push(part.value);
    else warn({ param: 'messages[].content[]', reason: `${nativeName(part.value)} cannot be sent to this API` });
  },
};

function nativeName(value: Json): string {
  return value.type === 'annotation' ? foreignFields(value.fields) : String(value.type);
}

function writeAssistant(parts: readonly AssistantPart[], writing: Writing): Json {
  const sorted: Sorted = { texts: [], reasoning: [], refusal: '', calls: [], annotations: {} };
  for (const part of parts) {
    (ASSISTANT_PARTS[part.type] as (sorted: Sorted, part: AssistantPart, writing: Writing) => void)(sorted, part, writing);
  }
  const { texts, refusal, calls } = sorted;
  const silent = texts.length === 0 && (calls.length > 0 || refusal !== '');
  return {
    role: 'assistant',
    content: silent ? null : writeAssistantText(texts, writing),
    ...(refusal !== '' && { refusal }),
    ...(calls.length > 0 && { tool_calls: calls }),
    ...writeEarlierReasoning(sorted.reasoning, writing),
    ...sorted.annotations,
  };
}

/** The model said it in one go, whatever the blocks; only a cache marker keeps them apart. */
function writeAssistantText(texts: readonly TextPart[], writing: Writing): string | Json[] {
  const cached = writing.quirks.cacheControl === true && texts.some((part) => part.cacheControl !== undefined);
  return cached ? writeContent(texts, writing) : texts.map((part) => part.text).join('');
}

function writeEarlierReasoning(parts: readonly ReasoningPart[], { quirks, warn }: Writing): Json {
  if (parts.length === 0) return {};
  if (quirks.reasoningField !== undefined) return writeReasoning(parts, quirks.reasoningField);
  warn({ param: 'messages[].reasoning', reason: 'the provider of this model does not take earlier reasoning back' });
  return {};
}

/** A spoken answer is sent back by its id alone. */
function audioReference(audio: unknown): Json {
  return audio instanceof Object && 'id' in audio ? { audio: { id: audio.id } } : {};
}

function writeToolCall(part: ToolCallPart, writing: Writing): Json {
  return {
    id: part.id,
    type: 'function',
    function: { name: part.name, arguments: argumentsText(part.arguments) },
    ...cacheField(part, writing),
  };
}
