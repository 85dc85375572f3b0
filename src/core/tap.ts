/** What a relay learns of an answer it does not parse: made by dialects, used by the relay in upstream/. */
import type { UpstreamFailure } from './parts.ts';
import type { Usage } from './usage.ts';

/**
 * Watches a relayed stream of the dialect, one complete event at a time, parsing only what usage, finish and end need.
 * `see` gets the raw bytes of one event including its blank line and answers what goes to the client:
 * the same bytes (`true`), nothing (`false`), or other bytes (a Buffer).
 */
export interface StreamTap {
  see(event: Buffer): boolean | Buffer;
  /**
   * True: whole events, these bytes would tell `see` nothing and pass it unchanged, so that they need not be taken apart. A fast model's read holds
   * ten events; one look at all of them costs what one event does. False is always right.
   */
  isDull(events: Buffer): boolean;
  readonly usage: Usage | undefined;
  /** The provider's own word for why it ended, as it sent it. */
  readonly finish: string | undefined;
  /** The model the provider says it used. */
  readonly model: string | undefined;
  /** Of what the provider keeps of the answer, where later requests may refer to it. */
  readonly storedId?: string | undefined;
  /** `done`: terminal event seen. `error`: the provider's own error event seen. */
  readonly state: 'open' | 'done' | 'error';
  readonly failure: UpstreamFailure | undefined;
  /** True once an event carried content (text, tool call or reasoning), not just a role or a ping. */
  readonly sawContent: boolean;
}

/** What a relayed unary answer tells. */
export interface AnswerSummary {
  usage: Usage | undefined;
  finish: string | undefined;
  model: string | undefined;
  storedId?: string | undefined;
}

/** What a tap has learnt so far: the readable half of a `StreamTap`, as its maker writes it. */
export type Findings = { -readonly [Member in Exclude<keyof StreamTap, 'see' | 'isDull'>]: StreamTap[Member] };

export function noFindings(): Findings {
  return {
    usage: undefined,
    finish: undefined,
    model: undefined,
    storedId: undefined,
    state: 'open',
    failure: undefined,
    sawContent: false,
  };
}
