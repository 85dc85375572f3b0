/** Events as one signed POST each, in the form of Standard Webhooks. docs/events.md is the contract. */
import type { EventSettings } from '../../config/snapshot.ts';
import type { EventFact } from '../../core/fact.ts';
import { webhookHeaders } from '../../lib/webhook-signature.ts';
import type { Delivery } from './queue.ts';

/** Sends by the way out; answers the status, rejects where none came. Never follows a redirect. */
export type Post = (
  url: string,
  headers: Record<string, string>,
  body: Buffer,
  options: { timeoutMs: number },
) => Promise<{ status: number }>;

/** Whether the receiver wants this type: by its name, or `prefix.*`. */
export function wants({ types }: EventSettings, { type }: EventFact): boolean {
  return types === undefined || types.some((each) => (each.endsWith('*') ? type.startsWith(each.slice(0, -1)) : each === type));
}

/** Statuses besides 5xx that say: not now. */
const LATER = new Set([408, 425, 429]);

export async function deliverEvent(
  settings: EventSettings,
  event: EventFact,
  { post, nowMs }: { post: Post; nowMs: () => number },
): Promise<Delivery> {
  const body = Buffer.from(JSON.stringify(payloadOf(event)));
  const signed = webhookHeaders(settings.secret, { id: event.id, timestampS: Math.floor(nowMs() / 1000), body });
  const headers = { 'content-type': 'application/json', ...signed };
  const { status } = await post(settings.url, headers, body, { timeoutMs: settings.timeoutMs });
  if (status >= 200 && status < 300) return 'taken';
  return status >= 400 && status < 500 && !LATER.has(status) ? 'refused' : 'failed';
}

function payloadOf({ id, type, atMs, scope, details }: EventFact): object {
  return { type, timestamp: new Date(atMs).toISOString(), data: { id, ...(scope !== undefined && { scope }), ...details } };
}
