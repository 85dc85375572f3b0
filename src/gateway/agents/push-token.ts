/** How an agent proves that a notification is for the place it was given: derived from the installation's secret, so that whoever guesses costs nobody a look into the store. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** `pepper`: hex. */
export function pushToken(pepper: string, agent: string, push: string): string {
  return createHmac('sha256', Buffer.from(pepper, 'hex')).update(`push\0${agent}\0${push}`).digest('base64url');
}

/** Whether one of the headers in which agents present it holds it. */
export function presentsToken(headers: IncomingHttpHeaders, token: string): boolean {
  const expected = Buffer.from(token);
  const [, bearer] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? [];
  return [headers['x-a2a-notification-token'], headers['a2a-notification-token'], bearer].some((given) => {
    const bytes = Buffer.from(typeof given === 'string' ? given : '');
    return bytes.length === expected.length && timingSafeEqual(bytes, expected);
  });
}
