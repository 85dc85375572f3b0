import { coversAgent } from '../core/agent.ts';
import type { Caller } from '../core/directory.ts';

/**
 * Whether a caller may use a model: its key, the keys above it, its principal, team and organisation must all grant it. A key without grants may use
 * nothing; a party without a list of its own restricts nothing.
 */
export function mayUseModel({ key, ancestors, principal, team, org }: Caller, modelName: string): boolean {
  return (
    covers(key.models, modelName) &&
    ancestors.every(({ models }) => covers(models, modelName)) &&
    [principal, team, org].every((party) => party?.models === undefined || covers(party.models, modelName))
  );
}

/** The same for agents. */
export function mayUseAgent(caller: Caller, agent: { name: string; tags: readonly string[] }): boolean {
  return agentGrantsOf(caller).every((grants) => coversAgent(grants, agent));
}

/** Lists all of which must cover an agent. */
export function agentGrantsOf({ key, ancestors, principal, team, org }: Caller): (readonly string[])[] {
  const parties = [principal, team, org].flatMap((party) => (party?.agents === undefined ? [] : [party.agents]));
  return [key.agents, ...ancestors.map(({ agents }) => agents), ...parties];
}

/** `*`, `prefix*`, or the very name. */
function covers(grants: readonly string[], name: string): boolean {
  return grants.some((grant) => (grant.endsWith('*') ? name.startsWith(grant.slice(0, -1)) : grant === name));
}
