/** `sk-sb-Ab3…x9Z4`: enough to tell a secret from others, far too little to guess it. */
export function shownPart(secret: string): string {
  const prefix = /^sk-sb-(?:admin-)?/.exec(secret)?.[0] ?? '';
  return `${prefix}${secret.slice(prefix.length, prefix.length + 3)}…${secret.slice(-4)}`;
}
