/**
 * What the failure of an attempt means: the one table that decides whether another attempt may follow and where, what it says of the target, and which other model
 * the operator may have named for it.
 */
import type { ErrorCode, GatewayError } from '../core/errors.ts';
import type { FallbackCause } from '../core/routing.ts';
import type { TargetOutcome } from './live.ts';

export type FailureKind =
  | 'stale'
  | 'unreachable'
  | 'timeout'
  | 'broken'
  | 'overloaded'
  | 'throttled'
  | 'exhausted'
  | 'credential'
  | 'model'
  | 'inexpressible'
  | 'signature'
  | 'context_window'
  | 'content_policy'
  | 'caller'
  | 'ours';

export interface FailureMeaning {
  /** `same`: the very target may be tried again, `elsewhere`: another one, and this one only where there is no other. */
  retry: 'never' | 'same' | 'elsewhere';
  /** The same target would answer alike: never tried again by this exchange. */
  final?: true;
  outcome: TargetOutcome;
  /** Which of the operator's lists applies; absent: none. */
  cause?: FallbackCause;
}

export const FAILURES: Readonly<Record<FailureKind, FailureMeaning>> = {
  /** A kept-alive connection that was reset before any answer: most often the server's idle timeout met the request on its way (RFC 9112 §9.3.1). */
  stale: { retry: 'same', outcome: 'neutral', cause: 'general' },
  unreachable: { retry: 'elsewhere', outcome: 'fault', cause: 'general' },
  timeout: { retry: 'elsewhere', outcome: 'fault', cause: 'general' },
  /** 5xx, an answer that cannot be read, one that ended early. */
  broken: { retry: 'elsewhere', outcome: 'fault', cause: 'general' },
  overloaded: { retry: 'elsewhere', outcome: 'fault', cause: 'general' },
  throttled: { retry: 'elsewhere', outcome: 'throttled', cause: 'rate_limit' },
  exhausted: { retry: 'elsewhere', final: true, outcome: 'exhausted', cause: 'rate_limit' },
  credential: { retry: 'elsewhere', final: true, outcome: 'misconfigured', cause: 'general' },
  model: { retry: 'elsewhere', final: true, outcome: 'misconfigured', cause: 'general' },
  /** The target has no words for a parameter of the request: nothing was sent. */
  inexpressible: { retry: 'elsewhere', final: true, outcome: 'neutral', cause: 'general' },
  /** Thinking in the conversation is another provider's: it goes again without it. */
  signature: { retry: 'same', outcome: 'neutral' },
  context_window: { retry: 'never', outcome: 'neutral', cause: 'context_window' },
  content_policy: { retry: 'never', outcome: 'neutral', cause: 'content_policy' },
  caller: { retry: 'never', outcome: 'neutral' },
  ours: { retry: 'never', outcome: 'neutral' },
};

const BY_CODE: Partial<Record<ErrorCode, FailureKind>> = {
  upstream_unreachable: 'unreachable',
  upstream_timeout: 'timeout',
  upstream_error: 'broken',
  upstream_bad_response: 'broken',
  upstream_incomplete: 'broken',
  upstream_overloaded: 'overloaded',
  upstream_rate_limited: 'throttled',
  upstream_auth: 'credential',
  upstream_model: 'model',
  egress_refused: 'credential',
  unsupported_parameter: 'inexpressible',
  not_supported_here: 'inexpressible',
};

/**
 * Providers' own words, which say more than their statuses; the first that fits. Codes and types of OpenAI, Azure, Anthropic, Gemini, Mistral, Groq, OpenRouter and DeepSeek, and
 * the sentences of those that send no code.
 */
const BY_WORDS: readonly { kind: FailureKind; codes: RegExp; sentences?: RegExp; statuses: readonly number[] }[] = [
  {
    kind: 'exhausted',
    codes:
      /^(insufficient_quota|billing_error|billing_hard_limit_reached|insufficient_balance|credits_exhausted|payment_required)$/i,
    sentences: /exceeded your current quota|credit balance is too low|insufficient (balance|credits|funds)/i,
    statuses: [400, 402, 403, 429],
  },
  {
    kind: 'content_policy',
    codes:
      /^(content_filter|content_policy_violation|moderation_blocked|responsible_ai_policy_violation|ResponsibleAIPolicyViolation|data_inspection_failed)$/i,
    sentences: /content (management )?policy|content.?filter|flagged by (our )?moderation|requires moderation/i,
    statuses: [400, 403, 422],
  },
  {
    kind: 'caller',
    codes: /^unsupported_country_region_territory$/i,
    sentences: /country, region, or territory not supported|not available in your (country|region)/i,
    statuses: [400, 403],
  },
  {
    kind: 'context_window',
    codes:
      /^(context_length_exceeded|context_window_exceeded|string_above_max_length|model_max_prompt_tokens_exceeded|request_too_large)$/i,
    sentences:
      /prompt is too long|maximum context length|context (length|window)|too many (input )?tokens|input token count.*exceeds|exceeds? .*(token|context) limit|reduce the length/i,
    statuses: [400, 413, 422],
  },
  {
    kind: 'signature',
    codes: /^invalid_signature$/i,
    sentences:
      /invalid `?signature`? in `?thinking|thinking.{0,40}signature|invalid_encrypted_content|encrypted content.*could not be/i,
    statuses: [400],
  },
];

/** `reused`: it went out on a kept-alive connection that ended without a byte of an answer. */
export function kindOf(error: GatewayError, reused = false): FailureKind {
  const { code, details } = error;
  if (reused && code === 'upstream_unreachable') return 'stale';
  const status = details.upstreamStatus;
  if (status === undefined) return BY_CODE[code] ?? 'ours';
  return kindByWords(error, status) ?? (status === 402 ? 'exhausted' : (BY_CODE[code] ?? (status >= 500 ? 'broken' : 'caller')));
}

function kindByWords({ message, cause, details }: GatewayError, status: number): FailureKind | undefined {
  // The provider's sentence is the cause where the caller is told ours.
  const said = typeof cause === 'string' ? cause : message;
  const words = [details.upstreamCode, details.upstreamType];
  const fits = ({ codes, sentences, statuses }: (typeof BY_WORDS)[number]): boolean =>
    statuses.includes(status) && (words.some((word) => word !== undefined && codes.test(word)) || sentences?.test(said) === true);
  return BY_WORDS.find(fits)?.kind;
}
