/**
 * The neutral form of a streamed answer: what a stream decoder emits and a stream encoder consumes.
 *
 * Grammar, checked by test/conformance: `start`, then any mix of blocks and `usage`, then for every choice one `finish`,
 * then exactly one terminal `end`; or an `error` at any point, after which nothing follows. A block is
 * `<kind>_start`, deltas, `<kind>_end` with one `block` number, unique in the stream. Blocks of one choice may interleave.
 */
import type { FinishReason, NativePart } from './chat.ts';
import type { Usage } from './usage.ts';

export type StreamPart =
  | { type: 'start'; id: string; model: string; createdS: number; serviceTier?: string; systemFingerprint?: string }
  | { type: 'text_start'; block: number; choice: number }
  | { type: 'text_delta'; block: number; text: string; logprobs?: unknown }
  | { type: 'text_end'; block: number }
  | { type: 'reasoning_start'; block: number; choice: number; redacted?: string }
  | { type: 'reasoning_delta'; block: number; text: string }
  /** Opaque, byte-exact, sent once near the end of the block. */
  | { type: 'reasoning_signature'; block: number; signature: string }
  | { type: 'reasoning_end'; block: number }
  | { type: 'tool_call_start'; block: number; choice: number; id: string; name: string }
  /** A piece of the JSON text of the arguments; the pieces concatenate to `ToolCallPart.arguments`. */
  | { type: 'tool_call_delta'; block: number; arguments: string }
  | { type: 'tool_call_end'; block: number }
  | { type: 'refusal_start'; block: number; choice: number }
  | { type: 'refusal_delta'; block: number; text: string }
  | { type: 'refusal_end'; block: number }
  /** A block only one dialect knows, whole. */
  | { type: 'native'; choice: number; part: NativePart }
  /** Latest known usage; later ones replace earlier ones. */
  | { type: 'usage'; usage: Usage }
  | { type: 'finish'; choice: number; reason: FinishReason; stopSequence?: string; logprobs?: unknown }
  /** The provider's own terminal event was seen: the stream is whole. */
  | { type: 'end' }
  /** The provider sent its own error event inside the stream. */
  | { type: 'error'; error: UpstreamFailure };

/** An upstream's error, read from its body or stream: provider words with our secrets removed. */
export interface UpstreamFailure {
  /** HTTP status; for an in-stream error the status its type stands for, where known. */
  status: number;
  /** The provider's own type and code, where it sent them. */
  type?: string;
  code?: string;
  message: string;
  param?: string;
}
