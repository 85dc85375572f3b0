/** Providers echo what they were sent when they refuse it; what they say goes to the client without our secrets. */
import type { StreamTap } from '../core/tap.ts';
import type { Redact } from '../telemetry/redact.ts';

/** The very bytes where there is nothing to take out, whatever their encoding. */
export function cleanBytes(bytes: Buffer, redact: Redact): Buffer {
  const text = bytes.toString('utf8');
  const clean = redact(text);
  return clean === text ? bytes : Buffer.from(clean);
}

/** The tap, with the provider's own error event cleaned; all other events are untouched. */
export function cleanErrors(tap: StreamTap, redact: Redact): StreamTap {
  const see = tap.see.bind(tap);
  tap.see = (event) => {
    const seen = see(event);
    if (tap.state !== 'error' || seen === false) return seen;
    const bytes = seen === true ? event : seen;
    const clean = cleanBytes(bytes, redact);
    return clean === bytes ? seen : clean;
  };
  return tap;
}
