/**
 * What of an agent's input is secret: its key, and headers that look like credentials. Sealed in the store, bound to the places they may be sent to: an agent that moves
 * needs them anew.
 */
import { isSecretHeader } from '../../config/check-secrets.ts';
import type { Keyring } from '../../lib/seal.ts';
import type { StoredAgent } from '../../store/ports/agents.ts';

/** What is shown instead of one. */
export const HIDDEN = '***';

export interface AgentSecrets {
  api_key?: string;
  headers?: Record<string, string>;
}

/** As it was sent, as far as secrets are concerned. */
interface Written {
  name: string;
  url?: string;
  card_url?: string;
  replicas?: { url: string }[];
  health?: { url?: string };
  api_key?: string;
  headers?: Record<string, string>;
  allow_origins?: string[];
}

/** What may be stored as it is, and what must be sealed. */
export function splitSecrets<Input extends Written>(input: Input): { open: Omit<Input, 'api_key'>; secrets: AgentSecrets } {
  const { api_key, headers, ...rest } = input;
  const entries = Object.entries(headers ?? {});
  const secret = entries.filter(([name]) => isSecretHeader(name));
  const plain = entries.filter(([name]) => !isSecretHeader(name));
  return {
    open: { ...rest, ...(plain.length > 0 && { headers: Object.fromEntries(plain) }) } as Omit<Input, 'api_key'>,
    secrets: {
      ...(api_key !== undefined && { api_key }),
      ...(secret.length > 0 && { headers: Object.fromEntries(secret) }),
    },
  };
}

export function sealSecrets(ring: Keyring, written: Written, secrets: AgentSecrets): string | undefined {
  if (Object.keys(secrets).length === 0) return undefined;
  return ring.seal('cred/v1', belonging(written), JSON.stringify(secrets));
}

/** The key and all headers of an agent of the store; without those that were sealed for other places. */
export function openSecrets(ring: Keyring, { content, sealed }: StoredAgent): AgentSecrets {
  const written = JSON.parse(content) as Written;
  const opened = sealed === undefined ? undefined : ring.open('cred/v1', belonging(written), sealed);
  const { api_key, headers } = opened === undefined ? ({} as AgentSecrets) : (JSON.parse(opened) as AgentSecrets);
  return { ...(api_key !== undefined && { api_key }), headers: { ...written.headers, ...headers } };
}

/** Every origin that they would be sent to. */
function belonging({ name, url, card_url, replicas = [], health, allow_origins = [] }: Written): string[] {
  const urls = [url, card_url, health?.url, ...replicas.map((each) => each.url), ...allow_origins].filter(
    (each) => each !== undefined,
  );
  const origins = new Set(urls.map((each) => URL.parse(each)?.origin ?? each));
  return ['agents', name, 'sealed', [...origins].sort().join(' ')];
}
