import type { Model, PricedTarget } from '../config/snapshot.ts';
import type { Caller } from '../core/directory.ts';
import { GatewayError } from '../core/errors.ts';
import { nearest } from '../lib/nearest.ts';

/** A model as one exchange sees it: wildcards filled in. */
export interface ResolvedModel {
  /** The name the client asked for. */
  name: string;
  model: Model;
  targets: readonly PricedTarget[];
  /** The client chose the upstream model through a wildcard: an unknown one is the client's mistake, not the operator's. */
  viaWildcard: boolean;
}

export type Resolve = (name: string, caller: Caller) => ResolvedModel;

/** The grant check, handed in: routing knows no policy. */
export type MayUse = (caller: Caller, modelName: string) => boolean;

/**
 * What a wildcard may stand for: the name goes into headers, facts and the log, where a longer one would burst the client's header
 * limit and the fact's frame, and a control character could forge a line.
 */
const MAX_NAME_LENGTH = 256;
const CONTROL = /\p{Cc}/u;

/**
 * Names are matched exactly, then by the longest wildcard prefix. A model the caller may not use looks like one that does not exist.
 * Throws model_not_found with up to three nearest names among those the caller may use.
 */
export function createResolve(models: readonly Model[], mayUse: MayUse): Resolve {
  const exact = new Map(models.filter((model) => model.wildcardPrefix === undefined).flatMap(named));
  const wildcards = models
    .filter((model) => model.wildcardPrefix !== undefined)
    .sort((a, b) => b.wildcardPrefix!.length - a.wildcardPrefix!.length);

  const usable = (caller: Caller): string[] =>
    models.flatMap(({ name, aliases = [] }) => [name, ...aliases].filter((each) => mayUse(caller, each) || mayUse(caller, name)));

  return (name, caller) => {
    const found = exact.get(name);
    if (!mayUse(caller, name) && (found === undefined || !mayUse(caller, found.model.name)))
      throw unknownModel(name, usable(caller));
    if (found !== undefined) return found;
    const wildcard = isName(name)
      ? wildcards.find((model) => name.length > model.wildcardPrefix!.length && name.startsWith(model.wildcardPrefix!))
      : undefined;
    if (wildcard === undefined) throw unknownModel(name, usable(caller));
    return filled(wildcard, name);
  };
}

function isName(name: string): boolean {
  return name.length <= MAX_NAME_LENGTH && !CONTROL.test(name);
}

/** A model under each of its names. Whoever may use it by one may use it by all that he knows. */
function named(model: Model): [string, ResolvedModel][] {
  const { targets, aliases = [] } = model;
  return [model.name, ...aliases].map((name) => [name, { name, model, targets, viaWildcard: false }]);
}

function filled(model: Model, name: string): ResolvedModel {
  const rest = name.slice(model.wildcardPrefix!.length);
  const targets = model.targets.map((target) => {
    const upstreamModel = target.upstreamModel.replace('*', () => rest);
    return { ...target, upstreamModel, configuredId: target.id, id: `${target.provider}/${upstreamModel}` };
  });
  return { name, model, targets, viaWildcard: true };
}

/** OpenAI's sentence, because people search for it, and what they may have meant. */
function unknownModel(name: string, usable: readonly string[]): GatewayError {
  const suggestions = nearest(name, usable);
  const shown = name.length > 128 ? `${name.slice(0, 128)}…` : name;
  const hint = suggestions.length === 0 ? '' : ` Did you mean ${suggestions.map((each) => `\`${each}\``).join(' or ')}?`;
  return new GatewayError('model_not_found', {
    details: {
      message: `The model \`${shown}\` does not exist or you do not have access to it.${hint}`,
      param: 'model',
      model: shown,
      nearest: suggestions,
    },
  });
}
