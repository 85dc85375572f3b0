/** What one deployment of LiteLLM's says of where its requests may come from and what it can do. */
import { regionProblem, tagProblem } from '../../config/values.ts';
import { type Fields, type Note, listOf, numberOf, textOf } from './note.ts';

export interface Target {
  provider: string;
  model: string;
  weight?: number;
  order?: number;
  tags?: string[];
  region?: string;
  context_window?: number;
  capabilities?: string[];
  limits?: Record<string, number>;
  price?: unknown;
  timeouts?: Record<string, number>;
  params?: Record<string, unknown>;
  drop_params?: string[];
}

const CAPABILITIES: Readonly<Record<string, string>> = {
  supports_function_calling: 'tools',
  supports_vision: 'vision',
  supports_response_schema: 'json_schema',
  supports_reasoning: 'reasoning',
};

type Tell = (note: Note) => void;

interface Sources {
  params: Fields;
  info: Fields;
  /** Whether tags decide there at all. */
  byTags: boolean;
  note: Tell;
  at: string;
}

type TargetRouting = Pick<Target, 'tags' | 'region' | 'context_window' | 'capabilities'>;

export function targetRoutingOf({ params, info, byTags, note, at }: Sources): TargetRouting {
  const tags = byTags ? tagsOf(params, `${at}.litellm_params.tags`, note) : [];
  if (!byTags && listOf(params['tags']).length > 0)
    note({ place: `${at}.litellm_params.tags`, message: 'are not carried over: `enable_tag_filtering` is not set there' });
  const region = textOf(params['region_name'])?.toLowerCase();
  const isRegion = region !== undefined && regionProblem(region) === undefined;
  if (region !== undefined && !isRegion)
    note({ place: `${at}.litellm_params.region_name`, message: `is left out: ${regionProblem(region)!}` });
  const window = tokensOf(info, 'max_input_tokens');
  const capabilities = capabilitiesOf(info, at, note);
  return {
    ...(tags.length > 0 && { tags }),
    ...(isRegion && { region }),
    ...(window !== undefined && { context_window: window }),
    ...(capabilities !== undefined && { capabilities }),
  };
}

export const MOST_TAGS = 16;

/** None of its tags can be said here: without them it would serve whom it did not serve there. */
export function losesItsTags(params: Fields): boolean {
  const tags = listOf(params['tags']).map(String);
  return tags.length > 0 && tags.every((tag) => tagProblem(tag) !== undefined);
}

function tagsOf(params: Fields, place: string, note: Tell): string[] {
  const tags = [...new Set(listOf(params['tags']).map(String))];
  const kept = tags.filter((tag) => tagProblem(tag) === undefined).slice(0, MOST_TAGS);
  for (const tag of tags.filter((each) => !kept.includes(each)))
    note({ place, message: `\`${tag}\` is left out: ${tagProblem(tag) ?? `a target has ${MOST_TAGS} tags at most`}` });
  return kept;
}

const MOST_TOKENS = 1_000_000_000;

/** Undefined: not said, or nothing that a count could be. */
export function tokensOf(info: Fields, name: string): number | undefined {
  const tokens = numberOf(info[name]);
  return tokens === undefined || tokens < 1 ? undefined : Math.min(Math.floor(tokens), MOST_TOKENS);
}

/** There, what is not said is looked up; here, what is not in the list cannot be done, and requests that need it go elsewhere. */
function capabilitiesOf(info: Fields, at: string, note: Tell): string[] | undefined {
  const flags = Object.keys(CAPABILITIES);
  const missing = flags.filter((flag) => typeof info[flag] !== 'boolean');
  if (missing.length === 0) return flags.flatMap((flag) => (info[flag] === true ? [CAPABILITIES[flag]!] : []));
  if (missing.length < flags.length)
    note({
      place: `${at}.model_info`,
      message: `says nothing of ${missing.join(', ')}: the abilities of the model are left to our lists`,
    });
  return undefined;
}
