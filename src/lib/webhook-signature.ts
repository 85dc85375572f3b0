/**
 * Signatures of what we send to operators' services, in the form of Standard Webhooks 1.0 (standardwebhooks.com), for which every language has a verifier.
 */
import { createHmac } from 'node:crypto';

const MIN_SECRET_BYTES = 16;
const PREFIX = 'whsec_';

/** The key's bytes: what stands behind `whsec_` in base64, else the text itself. Undefined where that is fewer than 16 bytes, or no base64. */
export function webhookKey(secret: string): Buffer | undefined {
  const encoded = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : undefined;
  if (encoded !== undefined && !/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return undefined;
  const key = encoded === undefined ? Buffer.from(secret) : Buffer.from(encoded, 'base64');
  return key.length < MIN_SECRET_BYTES ? undefined : key;
}

export interface SignedMessage {
  /** Unique to the message, the same at every try. */
  id: string;
  /** Seconds since 1970, of this try: receivers refuse old ones. */
  timestampS: number;
  body: Buffer;
}

/** The three headers: HMAC-SHA-256 over `id.timestamp.body`. Throws where the secret is none: an empty one would let anybody sign. */
export function webhookHeaders(secret: string, { id, timestampS, body }: SignedMessage): Record<string, string> {
  const key = webhookKey(secret);
  if (key === undefined) throw new Error('a webhook secret has at least 16 bytes');
  const signature = createHmac('sha256', key).update(`${id}.${timestampS}.`).update(body).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': String(timestampS), 'webhook-signature': `v1,${signature}` };
}
