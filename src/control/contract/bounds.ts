/** Nobody gives what is not his: what somebody sets within a team or organisation that he leads lies within what that one has. */
import type { Budget } from '../../core/rules.ts';
import type { EntitiesPort } from '../../store/ports/entities.ts';
import { exceeds, isWithin } from '../directory/child.ts';
import { type Place, holdsAt } from './access.ts';
import type { Actor } from './actor.ts';
import { type InputIssue, invalidInput } from './input.ts';

interface Given {
  models?: readonly string[] | null | undefined;
  agents?: readonly string[] | null | undefined;
  budgets?: readonly Budget[] | null | undefined;
}

/** `*` means all that the owner may use, whatever that is at the time. Throws invalid_request. Those who run the installation are not bound. */
export async function requireBounded(entities: EntitiesPort, actor: Actor, place: Place, given: Given): Promise<void> {
  if (holdsAt(actor, {}, ['root', 'admin'])) return;
  const { team, org } = place;
  const above = [
    typeof team === 'string' && (await entities.get('team', team)),
    typeof org === 'string' && (await entities.get('org', org)),
  ];
  const issues = above.flatMap((party) =>
    party ? excessesOf(given, party, party.kind === 'team' ? 'team' : 'organisation') : [],
  );
  if (issues.length > 0) throw invalidInput(issues);
}

function excessesOf(given: Given, party: Given, noun: string): InputIssue[] {
  const issues: InputIssue[] = [];
  for (const param of ['models', 'agents'] as const) {
    const foreign =
      party[param] && given[param]?.find((grant) => grant !== '*' && !party[param]?.some((own) => isWithin(grant, own)));
    if (foreign !== undefined && foreign !== null)
      issues.push({ param, message: `has \`${foreign}\`, which the ${noun} may not use itself` });
  }
  const budgets = party.budgets ?? [];
  if (given.budgets?.some((budget) => budgets.some((own) => exceeds(budget, own)))) {
    issues.push({ param: 'budget', message: `is more than that of the ${noun}` });
  }
  return issues;
}
