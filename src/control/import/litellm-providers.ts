/** LiteLLM's `provider/model` and the place and credential beside it, as entries under `providers`. */
import type { Catalog } from '../../config/catalog-port.ts';
import { isSecretHeader } from '../../config/check-secrets.ts';
import { needsBaseUrl } from '../../core/provider-row.ts';
import { type Fields, type Note, fieldsOf, textOf } from './note.ts';

/** Prefixes that are called otherwise here. The same word, where the catalog knows it, needs no row. */
const TYPES: Readonly<Record<string, string>> = {
  together_ai: 'together',
  fireworks_ai: 'fireworks',
  nvidia_nim: 'nvidia',
  ollama_chat: 'ollama',
  hosted_vllm: 'vllm',
  lm_studio: 'lmstudio',
  llamafile: 'llamacpp',
  cohere_chat: 'cohere',
  ai21_chat: 'ai21',
  jina_ai: 'jina',
  github: 'github-models',
  meta_llama: 'llama',
  text_completion_openai: 'openai',
  'text-completion-openai': 'openai',
  custom_openai: 'openai-compatible',
  openai_like: 'openai-compatible',
  litellm_proxy: 'openai-compatible',
};
/** Known to the catalog by another way in: LiteLLM signs requests or speaks another dialect there. */
const OTHER_WAY_IN = new Set(['bedrock', 'sagemaker', 'vertex_ai', 'vertex_ai_beta', 'watsonx']);
/** Names without a prefix, as LiteLLM reads them. */
const BARE: readonly [RegExp, string][] = [
  [/^(gpt-|chatgpt-|o[1-9](-|$)|text-embedding-|ft:gpt-|dall-e|whisper|tts)/, 'openai'],
  [/^claude-/, 'anthropic'],
  [/^command-/, 'cohere'],
];

export interface Place {
  type: string;
  /** The provider's own name of the model. */
  model: string;
}

/** Where a model of LiteLLM's is served; a text: why nowhere. */
export function placeOf(params: Fields, catalog: Catalog): Place | string {
  const written = textOf(params['model']) ?? '';
  const prefix = textOf(params['custom_llm_provider']) ?? /^([^/]+)\//.exec(written)?.[1] ?? bareProvider(written);
  if (prefix === undefined) return `\`${written}\` does not say which provider serves it`;
  if (OTHER_WAY_IN.has(prefix))
    return `\`${prefix}\` is reached in another way here; add the provider by hand (docs/providers.md)`;
  const model = written.startsWith(`${prefix}/`) ? written.slice(prefix.length + 1) : written;
  const type = typeOf(TYPES[prefix] ?? prefix, textOf(params['api_base']) ?? textOf(params['base_url']), catalog);
  if (type !== undefined) return { type, model };
  return `\`${prefix}\` is no provider that is known here; with an \`api_base\` it could be one that speaks OpenAI’s dialect`;
}

function bareProvider(model: string): string | undefined {
  return BARE.find(([pattern]) => pattern.test(model))?.[1];
}

/** OpenAI's dialect at another address, and whatever is not in the catalog, is `openai-compatible`. */
function typeOf(known: string, base: string | undefined, catalog: Catalog): string | undefined {
  const isElsewhere = base !== undefined && (known === 'openai' || catalog.row(known) === undefined);
  if (isElsewhere) return 'openai-compatible';
  return catalog.row(known) === undefined ? undefined : known;
}

export interface ProviderBook {
  /** The name of the entry for that place, made where there is none yet. `problem`: why there can be none. */
  nameOf: (type: string, params: Fields, at: string) => string | { problem: string };
  providers: Record<string, object>;
}

/** Equal places and credentials share one entry. */
export function createProviderBook(catalog: Catalog, note: (note: Note) => void): ProviderBook {
  const providers: Record<string, object> = {};
  const names = new Map<string, string>();
  return {
    providers,
    nameOf(type, params, at) {
      const entry = entryOf(type, params, { catalog, note, at });
      if (typeof entry === 'string') return { problem: entry };
      const identity = JSON.stringify([type, entry]);
      const known = names.get(identity);
      if (known !== undefined) return known;
      const name = freeName(type, providers);
      names.set(identity, name);
      providers[name] = name === type ? entry : { type, ...entry };
      return name;
    },
  };
}

function freeName(type: string, taken: object): string {
  for (let number = 1; ; number++) {
    const name = number === 1 ? type : `${type}-${number}`;
    if (!Object.hasOwn(taken, name)) return name;
  }
}

interface EntryContext {
  catalog: Catalog;
  note: (note: Note) => void;
  at: string;
}

function entryOf(type: string, params: Fields, context: EntryContext): object | string {
  const row = context.catalog.row(type)!;
  const baseUrl = baseUrlOf(type, textOf(params['api_base']) ?? textOf(params['base_url']), context);
  if (baseUrl === undefined && needsBaseUrl(row)) return `\`${type}\` needs an \`api_base\` that stands in the file itself`;
  const headers = headersOf(params, context);
  const apiKey = credentialOf(params, row.env[0], { ...context, local: row.local });
  return {
    ...(baseUrl !== undefined && { base_url: baseUrl }),
    ...(apiKey !== undefined && { api_key: apiKey }),
    ...(Object.keys(headers).length > 0 && { headers }),
  };
}

/** LiteLLM adds to some URLs what stands in ours. */
const BASE_SUFFIX: Readonly<Record<string, string>> = { azure: '/openai/v1', ollama: '/v1' };

function baseUrlOf(type: string, written: string | undefined, { note, at }: EntryContext): string | undefined {
  if (written === undefined) return undefined;
  const reference = referenceOf(written);
  if (reference !== undefined) return reference;
  const url = written.replace(/\/+$/, '');
  const suffix = BASE_SUFFIX[type];
  if (type === 'azure') note({ place: `${at}.api_base`, message: 'is reached by its v1 API, which takes no `api_version`' });
  if (type === 'anthropic') return url.replace(/\/v1$/, '');
  return suffix === undefined || url.endsWith(suffix) ? url : `${url}${suffix}`;
}

function credentialOf(
  params: Fields,
  variable: string | undefined,
  { note, at, local }: EntryContext & { local: boolean },
): string | undefined {
  const written = textOf(params['api_key']);
  const name = variable ?? 'PROVIDER_API_KEY';
  if (written === undefined) return local ? undefined : `\${env:${name}}`;
  const reference = referenceOf(written);
  if (reference !== undefined) return reference;
  if (local && /^(none|fake|dummy|sk-?(1234|fake|none|xxx)|anything|empty|not-?needed)/i.test(written)) return 'none';
  note({ place: `${at}.api_key`, message: `stood in the file itself; it is not copied: put it into the variable ${name}` });
  return `\${env:${name}}`;
}

function headersOf(params: Fields, { note, at }: EntryContext): Record<string, string> {
  const headers: Record<string, string> = {};
  const organization = textOf(params['organization']);
  if (organization !== undefined) headers['openai-organization'] = referenceOf(organization) ?? organization;
  for (const [name, value] of Object.entries(fieldsOf(params['extra_headers']))) {
    const reference = referenceOf(String(value));
    if (reference !== undefined || !isSecretHeader(name)) headers[name.toLowerCase()] = reference ?? String(value);
    else
      note({ place: `${at}.extra_headers.${name}`, message: 'looks like a credential and is not copied: add it as a reference' });
  }
  return headers;
}

/** `os.environ/NAME` as `${env:NAME}`. */
export function referenceOf(text: string): string | undefined {
  const name = /^os\.environ\/([A-Za-z_][A-Za-z0-9_]*)$/.exec(text)?.[1];
  return name === undefined ? undefined : `\${env:${name}}`;
}
