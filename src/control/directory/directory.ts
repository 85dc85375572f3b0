/**
 * Who may call and who may manage, as the operator changes it: every method checks, writes the store, puts the change in force in every worker, and only then answers.
 * One change at a time, so that none is checked against what another is about to make untrue.
 */
import { type Groups, createGroups } from './groups.ts';
import { type Keys, createKeys } from './keys.ts';
import { type Members, createMembers } from './members.ts';
import type { DirectoryParts } from './parts.ts';
import { type Tokens, createTokens } from './tokens.ts';
import { createWriter } from './writer.ts';

export interface DirectoryService extends Groups {
  members: Members;
  keys: Keys;
  tokens: Tokens;
}

/** Every method may reject with GatewayError not_found, conflict or invalid_request, or with StoreError. `by`: `root` or a user's id. */
export function createDirectoryService(parts: DirectoryParts): DirectoryService {
  const writer = createWriter(parts);
  return {
    ...createGroups(parts, writer),
    members: createMembers(parts, writer),
    keys: createKeys(parts, writer),
    tokens: createTokens(parts, writer),
  };
}
