/** Who says how an agent is. Keys that one made for himself, and keys of one person or service, are one witness: nobody is two. */
export function witnessOf(scopes: readonly string[]): string {
  return scopes.find((scope) => /^(user|service):/.test(scope)) ?? scopes.findLast((scope) => scope.startsWith('key:')) ?? '';
}
