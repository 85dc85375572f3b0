/** What only several members of an agent together get wrong, and names that two of them share. */
import { nearest } from '../lib/nearest.ts';
import { agentProviderNamed } from '../core/agent.ts';
import { type ConfigIssue, issueAt } from './issue.ts';
import { agentProblems } from './schema-agent.ts';
import { type Tree, select, selectTexts, toPlain } from './tree.ts';

export function checkAgents(root: Tree): ConfigIssue[] {
  return [...twins(root), ...unknownModels(root), ...select(root, 'agents.*').flatMap(problemsOf)];
}

function twins(root: Tree): ConfigIssue[] {
  const seen = new Set<string>();
  return selectTexts(root, 'agents.*.name').flatMap(({ node, path, text }) => {
    const isFirst = !seen.has(text);
    seen.add(text);
    return isFirst ? [] : [issueAt(node.place, path, 'there is an agent of this name already')];
  });
}

function unknownModels(root: Tree): ConfigIssue[] {
  const known = [...selectTexts(root, 'models.*.name'), ...selectTexts(root, 'models.*.aliases.*')].map(({ text }) => text);
  const isKnown = (name: string): boolean =>
    known.some(
      (each) => each === name || (each.endsWith('*') && name.length >= each.length && name.startsWith(each.slice(0, -1))),
    );
  return (
    selectTexts(root, 'agents.*.model')
      // The schema has said what is wrong with those.
      .filter(({ text }) => !text.startsWith('a2a/') && !isKnown(text))
      .map(({ node, path, text }) =>
        issueAt(node.place, path, `there is no model \`${node.reference ?? text}\` under \`models\``, nearest(text, known)),
      )
  );
}

function problemsOf({ node, path, keyPlace }: ReturnType<typeof select>[number]): ConfigIssue[] {
  const written = toPlain(node);
  if (typeof written !== 'object' || written === null || Array.isArray(written)) return [];
  const { replicas, provider = 'a2a', provider_config, ...rest } = written as Record<string, never>;
  // What is not of the right shape the schema has said already.
  if (replicas !== undefined && !Array.isArray(replicas)) return [];
  const maker = typeof provider === 'string' ? agentProviderNamed(provider) : undefined;
  const problems = agentProblems({
    ...rest,
    ...(replicas !== undefined && { replicas }),
    provider: maker ?? 'a2a',
    provider_config: provider_config ?? {},
  });
  return problems.map(([member, complaint]) => issueAt(keyPlace, [...path, member], complaint));
}
