import type { KeyRecord } from '../config/snapshot.ts';

/** Whether a key's model grants cover a public model name: `*`, `prefix*`, or the very name. No grant covers nothing. */
export function mayUseModel(key: KeyRecord, modelName: string): boolean {
  return key.models.some((grant) => (grant.endsWith('*') ? modelName.startsWith(grant.slice(0, -1)) : grant === modelName));
}
