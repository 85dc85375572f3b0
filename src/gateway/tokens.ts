import type { JwtSettings } from '../config/snapshot.ts';
import { GatewayError } from '../core/errors.ts';
import { type AdmitPerson, type CallerOfToken, type JwtParts, createCallerOfToken } from '../policy/jwt.ts';
import { type FetchJson, createVerify } from '../policy/jwt-verify.ts';
import type { Send } from '../upstream/send.ts';
import { askBy } from '../upstream/way-out.ts';

export interface TokensParts {
  settings: JwtSettings;
  /** The way out of the snapshot in force. */
  send: () => Send;
  admit: AdmitPerson;
  directory: JwtParts['directory'];
  nowMs: () => number;
}

const TIMEOUT_MS = 5_000;
const MAX_BYTES = 1024 * 1024;

/** Tokens of the configured issuer, whose keys are asked for by this worker's own way out. */
export function createTokens({ settings, send, admit, directory, nowMs }: TokensParts): CallerOfToken {
  const ask = askBy(send);
  const fetchJson: FetchJson = async (url, outside) => {
    const { status, body } = await ask({
      url,
      method: 'GET',
      headers: { accept: 'application/json' },
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
      trust: outside ? 'outside' : 'operator',
    });
    if (status !== 200) throw new GatewayError('upstream_error', { details: { message: `status ${status}` } });
    return JSON.parse(body.toString('utf8')) as unknown;
  };
  return createCallerOfToken({ settings, verify: createVerify(settings, { fetchJson, nowMs }), admit, directory, nowMs });
}
