/** Text with every known secret replaced. Providers echo credentials in their error messages; nobody else may read them. */
export type Redact = (text: string) => string;

const MASK = '[redacted]';
/** Shorter values would mask innocent words; the configuration refuses such secrets anyway. */
const SHORTEST_SECRET = 8;
/** Key-shaped words, also those we never saw: a masked echo of ours, or another tenant's. */
const KEY_SHAPED = /\b(?:(?:sk|pk|rk|gsk|xai)[-_]|Bearer )[\w*.…-]{12,}/g;

/** `secrets`: raw credential values, and whole header values such as `Bearer …`. */
export function createRedact(secrets: Iterable<string>): Redact {
  const known = [...new Set([...secrets].flatMap(withoutScheme))].filter((secret) => secret.length >= SHORTEST_SECRET);
  known.sort((a, b) => b.length - a.length);
  return (text) => {
    let clean = text;
    for (const secret of known) if (clean.includes(secret)) clean = clean.replaceAll(secret, MASK);
    return clean.replace(KEY_SHAPED, MASK);
  };
}

/** A header value is a secret with or without its scheme word. */
function withoutScheme(value: string): string[] {
  const space = value.indexOf(' ');
  return space < 0 ? [value] : [value, value.slice(space + 1)];
}
