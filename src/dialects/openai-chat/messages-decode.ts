/** The messages of a client's request, with every content part they may hold. */
import type {
  AssistantPart,
  ChatMessage,
  FilePart,
  ImagePart,
  TextPart,
  ToolCallPart,
  ToolResultPart,
  UserPart,
} from '../../core/chat.ts';
import { type Json, invalid, may, must, unsupported } from '../../core/read.ts';
import { readReasoning } from './reasoning.ts';
import { native, parseDataUrl, readAnnotations, readCacheControl, thinkingText } from './wire.ts';

type ReadMessage = (message: Json, path: string) => ChatMessage;

const ROLES: ReadonlyMap<string, ReadMessage> = new Map<string, ReadMessage>([
  ['system', (message, path) => ({ role: 'system', content: marked(readContent(message, path, readTextOnly), message, path) })],
  [
    'developer',
    (message, path) => ({ role: 'developer', content: marked(readContent(message, path, readTextOnly), message, path) }),
  ],
  ['user', (message, path) => ({ role: 'user', content: marked(readContent(message, path, readUserPart), message, path) })],
  ['assistant', readAssistant],
  ['tool', (message, path) => ({ role: 'user', content: [readToolResult(message, path)] })],
]);

/** Results of parallel calls are one turn, as Anthropic demands; here every result is a message of its own. */
export function decodeMessages(value: unknown): ChatMessage[] {
  const messages: ChatMessage[] = [];
  must('array', value, 'messages').forEach((item, index) => {
    const path = `messages[${index}]`;
    const message = must('object', item, path);
    const role = must('string', message.role, `${path}.role`);
    const read = ROLES.get(role);
    if (read === undefined) throw invalid(`${path}.role`, 'this must be system, developer, user, assistant or tool');
    const decoded = read(message, path);
    const last = messages.at(-1);
    if (role === 'tool' && last?.role === 'user' && last.content.every((part) => part.type === 'tool_result')) {
      last.content.push(...(decoded.content as ToolResultPart[]));
    } else {
      messages.push(decoded);
    }
  });
  return messages;
}

type ReadPart<Part> = (part: Json, path: string) => Part;

const USER_PARTS: ReadonlyMap<string, ReadPart<UserPart>> = new Map<string, ReadPart<UserPart>>([
  ['text', readText],
  ['image_url', readImage],
  ['file', readFile],
  ['input_audio', readAudio],
]);

const RESULT_PARTS: ReadonlyMap<string, ReadPart<TextPart | ImagePart | FilePart>> = new Map<
  string,
  ReadPart<TextPart | ImagePart | FilePart>
>([
  ['text', readText],
  ['image_url', readImage],
  ['file', readFile],
]);

/** Parts of providers (video_url, file_url…) stay whole; an encoder that cannot say them refuses. */
function readUserPart(part: Json, path: string): UserPart {
  return USER_PARTS.get(String(part.type))?.(part, path) ?? native(part);
}

function readTextOnly(part: Json, path: string): TextPart {
  if (part.type === 'text') return readText(part, path);
  throw invalid(`${path}.type`, 'this must be text');
}

/** A string, or a list of parts. */
function readContent<Part>(message: Json, path: string, read: ReadPart<Part>): (Part | TextPart)[] {
  const { content } = message;
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }];
  return must('array', content, `${path}.content`).map((item, index) => {
    const at = `${path}.content[${index}]`;
    const part = must('object', item, at);
    must('string', part.type, `${at}.type`);
    return read(part, at);
  });
}

/** A cache marker on a message means its last part. */
function marked<Part extends { type: string }>(parts: Part[], message: Json, path: string): Part[] {
  const last = parts.at(-1);
  if (last !== undefined && last.type !== 'native') Object.assign(last, readCacheControl(message, path));
  return parts;
}

function readText(part: Json, path: string): TextPart {
  return { type: 'text', text: must('string', part.text, `${path}.text`), ...readCacheControl(part, path) };
}

/** Mistral's clients send the URL without an object around it. */
function readImage(part: Json, path: string): ImagePart {
  const at = `${path}.image_url`;
  const image: Json = typeof part.image_url === 'string' ? { url: part.image_url } : must('object', part.image_url, at);
  const url = must('string', image.url, `${at}.url`);
  const data = parseDataUrl(url);
  const detail = may('string', image.detail, `${at}.detail`);
  return {
    type: 'image',
    source: data === undefined ? { kind: 'url', url } : { kind: 'base64', ...data },
    ...(detail !== undefined && { detail }),
    ...readCacheControl(part, path),
  };
}

function readFile(part: Json, path: string): FilePart {
  const file = must('object', part.file, `${path}.file`);
  const filename = may('string', file.filename, `${path}.file.filename`);
  return {
    type: 'file',
    source: readFileSource(file, `${path}.file`),
    ...(filename !== undefined && { filename }),
    ...readCacheControl(part, path),
  };
}

/** OpenAI's `file_data` is a data: URL; OpenRouter also takes a plain URL there; bare base64 has no type, and PDF is the only kind sent so. */
function readFileSource(file: Json, path: string): FilePart['source'] {
  const id = may('string', file.file_id, `${path}.file_id`);
  if (id !== undefined) return { kind: 'id', id };
  const data = must('string', file.file_data, `${path}.file_data`);
  const inline = parseDataUrl(data);
  if (inline !== undefined) return { kind: 'base64', ...inline };
  if (/^https?:\/\//i.test(data)) return { kind: 'url', url: data };
  return { kind: 'base64', mediaType: 'application/pdf', data };
}

function readAudio(part: Json, path: string): UserPart {
  const audio = must('object', part.input_audio, `${path}.input_audio`);
  return {
    type: 'audio',
    format: must('string', audio.format, `${path}.input_audio.format`),
    data: must('string', audio.data, `${path}.input_audio.data`),
  };
}

function readToolResult(message: Json, path: string): ToolResultPart {
  return {
    type: 'tool_result',
    callId: must('string', message.tool_call_id, `${path}.tool_call_id`),
    content: readContent(message, path, readResultPart),
    ...readCacheControl(message, path),
  };
}

function readResultPart(part: Json, path: string): TextPart | ImagePart | FilePart {
  const read = RESULT_PARTS.get(String(part.type));
  if (read === undefined) throw invalid(`${path}.type`, 'this must be text, image_url or file');
  return read(part, path);
}

function readAssistant(message: Json, path: string): ChatMessage {
  if (message.function_call !== undefined && message.function_call !== null) {
    throw unsupported(`${path}.function_call`, 'use tool_calls instead');
  }
  const calls = may('array', message.tool_calls, `${path}.tool_calls`) ?? [];
  const refusal = may('string', message.refusal, `${path}.refusal`) ?? '';
  const text = message.content === undefined || message.content === null ? [] : readContent(message, path, readAssistantPart);
  marked(text, message, path);
  return {
    role: 'assistant',
    content: [
      ...readReasoning(message),
      ...text,
      ...(refusal === '' ? [] : [{ type: 'refusal' as const, text: refusal }]),
      ...calls.map((call, index) => readToolCall(call, `${path}.tool_calls[${index}]`)),
      ...readAnnotations(message),
    ],
  };
}

function readAssistantPart(part: Json, path: string): AssistantPart {
  if (part.type === 'text') return readText(part, path);
  if (part.type === 'refusal') return { type: 'refusal', text: must('string', part.refusal, `${path}.refusal`) };
  return part.type === 'thinking' ? { type: 'reasoning', text: thinkingText(part) } : native(part);
}

/** Arguments stay as they came, even where they are no JSON: the model wrote them. */
function readToolCall(item: unknown, path: string): AssistantPart {
  const call = must('object', item, path);
  if (call.type !== undefined && call.type !== 'function') return native(call);
  const spec = must('object', call.function, `${path}.function`);
  const part: ToolCallPart = {
    type: 'tool_call',
    id: must('string', call.id, `${path}.id`),
    name: must('string', spec.name, `${path}.function.name`),
    arguments: may('string', spec.arguments, `${path}.function.arguments`) ?? '',
    ...readCacheControl(call, path),
  };
  return part;
}
