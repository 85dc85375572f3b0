/** One notification as one POST to where its client wants to be told. */
import type { PushPlace, PushTarget } from '../core/push.ts';
import { GatewayError } from '../core/errors.ts';
import type { Outcome } from './push-queue.ts';

/** Answers the status; rejects with a GatewayError where none came. Follows no redirect, and connects to no address that outsiders may not name. */
export type PostOutside = (url: string, headers: Record<string, string>, body: Buffer) => Promise<number>;

export interface SendParts {
  post: PostOutside;
  /** Why nobody may send us there, as the name resolves now. */
  addressProblem: (url: string) => Promise<string | undefined>;
}

/** Statuses besides 5xx and redirects that say: not now. */
const LATER = new Set([408, 425, 429]);

export async function sendPush(
  { target, version }: { target: PushTarget; version: PushPlace['version'] },
  body: string,
  { post, addressProblem }: SendParts,
): Promise<Outcome> {
  // A public name may lead inside by now; connecting looks once more.
  if ((await addressProblem(target.url)) !== undefined) return { reason: 'address', isFinal: true };
  try {
    const status = await post(target.url, headersOf(target, version), Buffer.from(body));
    if (status >= 200 && status < 300) return undefined;
    return { reason: `status ${status}`, isFinal: status >= 400 && status < 500 && !LATER.has(status) };
  } catch (thrown) {
    return { reason: reasonOf(thrown), isFinal: thrown instanceof GatewayError && thrown.code === 'egress_refused' };
  }
}

function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof GatewayError)) return 'internal';
  const { code, details } = thrown;
  if (code === 'egress_refused') return 'address';
  // A redirect.
  if (details.upstreamStatus !== undefined) return `status ${details.upstreamStatus}`;
  return code === 'upstream_timeout' ? 'timeout' : 'unreachable';
}

/** No text of the protocol names the token's header: clients look for either. */
function headersOf({ token, scheme, credentials }: PushTarget, version: PushPlace['version']): Record<string, string> {
  return {
    'content-type': version === '1.0' ? 'application/a2a+json' : 'application/json',
    ...(token !== undefined && { 'x-a2a-notification-token': token, 'a2a-notification-token': token }),
    ...(scheme !== undefined && credentials !== undefined && { authorization: `${scheme} ${credentials}` }),
  };
}
