/** The deployments of one `model_name` as the targets of one model. */
import { type Target, MOST_TAGS } from './litellm-target.ts';
import type { Fields, Note } from './note.ts';

type Tell = (note: Note) => void;

export interface Deployment {
  name: string;
  target: Target;
  /** As written there; Infinity: none, which comes last. */
  order: number;
  info: Fields;
  rpm?: number;
  at: string;
}

export function targetsOf(name: string, group: readonly Deployment[], note: Tell): Target[] {
  const targets = mergedTargets(arranged(group), note);
  tellUntagged(name, targets, note);
  return targets;
}

/** Only which order comes before which counts. Where nobody has a weight, LiteLLM shares by `rpm`. */
function arranged(group: readonly Deployment[]): { target: Target; at: string }[] {
  const orders = [...new Set(group.map(({ order }) => order))].toSorted((a, b) => a - b);
  const byRpm = group.length > 1 && group.every(({ target, rpm }) => target.weight === undefined && rpm !== undefined);
  return group.map(({ target, order: written, rpm, at }) => {
    const order = orders.indexOf(written) + 1;
    const weight = target.weight ?? (byRpm ? rpm : undefined);
    return { target: { ...target, ...(weight !== undefined && { weight }), ...(order > 1 && { order }) }, at };
  });
}

/** The same model of the same provider twice is one target of twice the weight. */
function mergedTargets(all: readonly { target: Target; at: string }[], note: Tell): Target[] {
  const merged = new Map<string, Target>();
  for (const { target, at } of all) {
    const id = `${target.provider}/${target.model}`;
    const present = merged.get(id);
    if (present !== undefined)
      note({ place: at, message: 'is the same target as one before it: they share one entry with the weight of both' });
    merged.set(id, present === undefined ? target : together(present, target));
  }
  return [...merged.values()];
}

/** It goes where the first of them went, for all that either served. */
function together(present: Target, { weight, order, tags }: Target): Target {
  const { order: own, ...others } = present;
  const first = Math.min(own ?? 1, order ?? 1);
  return {
    ...others,
    weight: (present.weight ?? 1) + (weight ?? 1),
    ...(first > 1 && { order: first }),
    ...(present.tags !== undefined &&
      tags !== undefined && { tags: [...new Set([...present.tags, ...tags])].slice(0, MOST_TAGS) }),
  };
}

const DEFAULT_TAG = 'default';

function tellUntagged(name: string, targets: readonly Target[], note: Tell): void {
  const tags = new Set(targets.flatMap((target) => target.tags ?? []));
  if (tags.size > 0 && !tags.has(DEFAULT_TAG))
    note({
      place: `model ${name}`,
      message: 'requests without tags go only to targets without tags, or with the tag `default`; there they went to all',
    });
}

/** What all targets say alike stands at the model. */
export function raised(targets: readonly Target[]): { targets: Target[]; context_window?: number; capabilities?: string[] } {
  const [first] = targets;
  if (first === undefined) return { targets: [] };
  const isCommon = (name: 'context_window' | 'capabilities'): boolean =>
    first[name] !== undefined && targets.every((target) => String(target[name]) === String(first[name]));
  const [window, abilities] = [isCommon('context_window'), isCommon('capabilities')];
  return {
    targets: targets.map(({ context_window, capabilities, ...others }) => ({
      ...others,
      ...(!window && context_window !== undefined && { context_window }),
      ...(!abilities && capabilities !== undefined && { capabilities }),
    })),
    ...(window && { context_window: first.context_window! }),
    ...(abilities && { capabilities: first.capabilities! }),
  };
}
