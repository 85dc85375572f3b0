/**
 * The neutral form of a chat request and of a whole answer: the middle of every translation.
 *
 * It holds the meaning that at least two dialects share. What only one dialect can say travels in `extra` under that
 * dialect's own parameter name, so that an encoder can carry it home, name it in a warning, or refuse it; nothing is lost silently.
 */
import type { Usage } from './usage.ts';

export interface ChatRequest {
  model: string;
  /** In order; system and developer prompts stay at their place among the messages. */
  messages: ChatMessage[];
  tools: ChatTool[];
  toolChoice?: ToolChoice;
  parallelToolCalls?: boolean;
  maxOutputTokens?: number;
  temperature?: number;
  topP?: number;
  topK?: number;
  stop?: string[];
  seed?: number;
  presencePenalty?: number;
  frequencyPenalty?: number;
  logitBias?: Record<string, number>;
  n?: number;
  logprobs?: boolean;
  topLogprobs?: number;
  responseFormat?: ResponseFormat;
  reasoning?: Reasoning;
  /** The caller's own user id (`user`, `metadata.user_id`). */
  user?: string;
  metadata?: Record<string, string>;
  serviceTier?: string;
  stream: boolean;
  /** The client asked for a usage chunk (openai-chat `stream_options.include_usage`). Always true where the dialect always sends usage. */
  includeUsage: boolean;
  /** Top-level parameters of the source dialect without a neutral meaning, by their original name. */
  extra: Record<string, unknown>;
}

export type ChatMessage =
  | { role: 'system' | 'developer'; content: TextPart[] }
  | { role: 'user'; content: UserPart[] }
  | { role: 'assistant'; content: AssistantPart[] };

/** Anthropic's prompt cache marker; other dialects drop it without a warning, since it changes cost, never the answer. */
export interface CacheControl {
  type: 'ephemeral';
  ttl?: string;
}

export interface TextPart {
  type: 'text';
  text: string;
  cacheControl?: CacheControl;
}

export interface ImagePart {
  type: 'image';
  source: { kind: 'url'; url: string } | { kind: 'base64'; mediaType: string; data: string };
  /** OpenAI's `detail`: low, high, auto. */
  detail?: string;
  cacheControl?: CacheControl;
}

/** A document (PDF or text). */
export interface FilePart {
  type: 'file';
  source:
    | { kind: 'url'; url: string }
    | { kind: 'base64'; mediaType: string; data: string }
    | { kind: 'text'; text: string }
    | { kind: 'id'; id: string };
  filename?: string;
  cacheControl?: CacheControl;
}

export interface AudioPart {
  type: 'audio';
  format: string;
  data: string;
}

/** The result of a tool call. Anthropic has it inside user messages, OpenAI as a message of its own; here it is a part. */
export interface ToolResultPart {
  type: 'tool_result';
  callId: string;
  content: (TextPart | ImagePart | FilePart)[];
  isError?: boolean;
  cacheControl?: CacheControl;
}

export interface ToolCallPart {
  type: 'tool_call';
  id: string;
  name: string;
  /** The arguments as JSON text, exactly as they were given: an empty string means "no arguments". */
  arguments: string;
  cacheControl?: CacheControl;
}

/**
 * Reasoning that the model showed. `signature` and `redacted` are opaque and byte-exact: only the provider that made them may see them again.
 * `redacted` (Anthropic's redacted_thinking.data) excludes `text`.
 */
export interface ReasoningPart {
  type: 'reasoning';
  text: string;
  signature?: string;
  redacted?: string;
}

export interface RefusalPart {
  type: 'refusal';
  text: string;
}

/** A part only one dialect knows (server tools, citations…), kept as it came with the dialect that understands it. */
export interface NativePart {
  type: 'native';
  dialect: string;
  value: Record<string, unknown>;
}

export type UserPart = TextPart | ImagePart | FilePart | AudioPart | ToolResultPart | NativePart;
export type AssistantPart = TextPart | ReasoningPart | ToolCallPart | RefusalPart | NativePart;

export type ChatTool =
  | {
      type: 'function';
      name: string;
      description?: string;
      parameters?: Record<string, unknown>;
      strict?: boolean;
      cacheControl?: CacheControl;
    }
  /** A built-in or custom tool of one dialect. */
  | { type: 'native'; dialect: string; name: string; value: Record<string, unknown> };

export type ToolChoice = { type: 'auto' | 'none' | 'required' } | { type: 'tool'; name: string };

export type ResponseFormat =
  | { type: 'text' }
  | { type: 'json_object' }
  | { type: 'json_schema'; name: string; schema: Record<string, unknown>; strict?: boolean; description?: string };

/** How much to think: an effort word (OpenAI), a token budget (Anthropic), adaptive or off. */
export interface Reasoning {
  mode: 'enabled' | 'adaptive' | 'disabled';
  effort?: string;
  budgetTokens?: number;
}

/** Why generation ended. `error` never ends well; `unknown` keeps what a provider said in `raw`. */
export type FinishReason =
  | 'stop'
  | 'stop_sequence'
  | 'length'
  | 'tool_calls'
  | 'content_filter'
  | 'refusal'
  | 'pause'
  | 'context_window'
  | 'unknown';

export interface ChatChoice {
  index: number;
  content: AssistantPart[];
  finish: FinishReason;
  /** The stop sequence that matched, where the dialect tells it. */
  stopSequence?: string;
  /** openai-chat's logprobs object, opaque to us. */
  logprobs?: unknown;
}

/** A whole answer. */
export interface ChatResponse {
  id: string;
  /** As the upstream named it. */
  model: string;
  createdS: number;
  choices: ChatChoice[];
  usage?: Usage;
  serviceTier?: string;
  systemFingerprint?: string;
}

/** Something the target's dialect cannot express, left out; it travels in `x-signalbox-warnings` and in the fact. */
export interface Warning {
  /** The parameter as the caller wrote it (`logit_bias`, `messages[2].content[0].citations`). */
  param: string;
  /** One short clause: why it had no effect. */
  reason: string;
}
