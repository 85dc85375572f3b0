/**
 * Cookies of the console (RFC 6265bis). The prefix `__Host-` holds browsers to: sent to this very host alone, over TLS or to this machine, set by no
 * neighbour of the domain.
 */

export const SESSION_COOKIE = '__Host-signalbox';
/** Of a sign-on under way. */
export const SIGN_ON_COOKIE = '__Host-signalbox-sign-on';

/** The value of that cookie; undefined also where it stands there twice, since then somebody else has set one of them. */
export function cookieOf(header: string | undefined, name: string): string | undefined {
  const values = (header ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
  return values.length === 1 ? values[0] : undefined;
}

/** `Strict`: never sent where another site led here. `Lax`: sent where a link or a redirect of another site did, which is how providers send people back. */
export function setCookie(name: string, value: string, rules: { sameSite: 'Strict' | 'Lax'; maxAgeS: number }): string {
  return `${name}=${value}; Path=/; Secure; HttpOnly; SameSite=${rules.sameSite}; Max-Age=${rules.maxAgeS}`;
}
