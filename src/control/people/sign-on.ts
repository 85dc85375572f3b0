/**
 * Signing on at an OpenID Connect provider: Authorization Code with PKCE, state and nonce, by openid-client over our own way out. What a sign-on under way must remember
 * stands sealed in a cookie of the browser that began it, so that strangers cannot fill our memory, and nobody can end what another began.
 */
import type * as OpenIdClient from 'openid-client';

import type { OidcSettings } from '../../config/snapshot.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Claims } from '../../core/person.ts';
import { createLru } from '../../lib/lru.ts';
import type { Keyring } from '../../lib/seal.ts';

type Client = typeof OpenIdClient;

/** A `fetch` by the way out; see upstream/fetch.ts. */
export type FetchOut = (url: string, options: OpenIdClient.CustomFetchOptions) => Promise<Response>;

export interface SignOnParts {
  settings: OidcSettings;
  /** Where browsers reach us, without a trailing slash. */
  publicUrl: string;
  fetchOut: FetchOut;
  ring: Pick<Keyring, 'seal' | 'open'>;
  nowMs: () => number;
}

export interface Begun {
  /** Where the browser goes. */
  url: string;
  /** What its cookie holds. */
  cookie: string;
}

export interface Finished {
  claims: Claims;
  /** A path of ours. */
  returnTo: string;
}

export interface SignOn {
  begin: (returnTo: string) => Promise<Begun>;
  /** `query`: as the provider sent the browser back. Rejects with sign_on_failed; its cause is for the log. */
  finish: (query: URLSearchParams, cookie: string | undefined) => Promise<Finished>;
  /** Where the person's session at the provider itself can be ended. */
  logoutUrl: () => Promise<string | undefined>;
}

interface Pending {
  state: string;
  nonce: string;
  verifier: string;
  returnTo: string;
  atMs: number;
}

export const SIGN_ON_S = 600;
/** The provider's document is read anew after so long. */
const CONFIGURATION_MS = 3_600_000;
/** A provider that cannot be asked is not asked again for so long, whoever comes: anybody may begin a sign-on. */
const COOL_DOWN_MS = 5_000;
/** States that have come back once. A provider that took a code twice would else open a second session for a stolen callback. */
const REMEMBERED_STATES = 4_096;
const REQUEST_TIMEOUT_S = 10;
const BELONGING = ['cookie', 'sign-on'] as const;

export function createSignOn(parts: SignOnParts): SignOn {
  const { settings, publicUrl, ring, nowMs } = parts;
  const redirectUri = `${publicUrl}/oidc/callback`;
  const used = createLru<string, true>(REMEMBERED_STATES);
  const provider = createProvider(parts);

  const pendingOf = (cookie: string | undefined): Pending => {
    const opened = cookie === undefined ? undefined : ring.open('sign-on/v1', BELONGING, cookie);
    if (opened === undefined) throw failed('no sign-on was begun in this browser');
    const pending = JSON.parse(opened) as Pending;
    if (nowMs() - pending.atMs > SIGN_ON_S * 1000) throw failed('the sign-on took too long');
    if (used.get(pending.state) === true) throw failed('the sign-on was finished before');
    return pending;
  };

  return {
    begin: async (returnTo) => {
      const { client, configuration } = await provider();
      const pending: Pending = {
        state: client.randomState(),
        nonce: client.randomNonce(),
        verifier: client.randomPKCECodeVerifier(),
        returnTo,
        atMs: nowMs(),
      };
      const url = client.buildAuthorizationUrl(configuration, {
        redirect_uri: redirectUri,
        scope: settings.scopes.join(' '),
        state: pending.state,
        nonce: pending.nonce,
        code_challenge: await client.calculatePKCECodeChallenge(pending.verifier),
        code_challenge_method: 'S256',
      });
      return { url: url.href, cookie: ring.seal('sign-on/v1', BELONGING, JSON.stringify(pending)) };
    },
    finish: async (query, cookie) => {
      const pending = pendingOf(cookie);
      // One try each, whatever comes of it.
      used.set(pending.state, true);
      const current = new URL(redirectUri);
      current.search = query.toString();
      const found = await provider();
      return { claims: await claimsOf(found, current, pending), returnTo: pending.returnTo };
    },
    logoutUrl: async () => {
      const { client, configuration } = await provider();
      if (configuration.serverMetadata().end_session_endpoint === undefined) return undefined;
      return client.buildEndSessionUrl(configuration, { post_logout_redirect_uri: `${publicUrl}/console/` }).href;
    },
  };
}

interface Provider {
  client: Client;
  configuration: OpenIdClient.Configuration;
}

/** The provider as its own document describes it: read with the first sign-on, then once an hour. */
function createProvider(parts: SignOnParts): () => Promise<Provider> {
  const { nowMs } = parts;
  let known: { provider: Promise<Provider>; untilMs: number } | undefined;
  return () => {
    if (known !== undefined && nowMs() < known.untilMs) return known.provider;
    const asked = { provider: discover(parts), untilMs: nowMs() + CONFIGURATION_MS };
    known = asked;
    asked.provider.catch(() => {
      asked.untilMs = nowMs() + COOL_DOWN_MS;
    });
    return asked.provider;
  };
}

async function discover({ settings, fetchOut }: SignOnParts): Promise<Provider> {
  const client = await import('openid-client');
  const { issuer, clientId, clientSecret } = settings;
  // The operator wrote the scheme of the issuer.
  const execute = issuer.startsWith('http:') ? [client.allowInsecureRequests] : [];
  const options = { execute, timeout: REQUEST_TIMEOUT_S, [client.customFetch]: fetchOut };
  try {
    const found = await client.discovery(new URL(issuer), clientId, undefined, client.None(), options);
    const metadata = found.serverMetadata();
    if (metadata.issuer !== issuer) throw new Error('the document names another issuer');
    const configuration = new client.Configuration(
      metadata,
      clientId,
      clientSecret,
      authentication(client, metadata, clientSecret),
    );
    configuration[client.customFetch] = fetchOut;
    configuration.timeout = REQUEST_TIMEOUT_S;
    for (const each of execute) each(configuration);
    // Signatures are checked also where TLS alone would do.
    client.enableNonRepudiationChecks(configuration);
    return { client, configuration };
  } catch (cause) {
    throw new GatewayError('identity_unavailable', {
      cause,
      details: { message: 'The identity provider cannot be asked', retryAfterS: 5 },
    });
  }
}

/** OpenID Connect Discovery 1.0 §3: a provider that says nothing takes the secret by HTTP Basic. */
function authentication(
  client: Client,
  metadata: OpenIdClient.ServerMetadata,
  secret: string | undefined,
): OpenIdClient.ClientAuth {
  if (secret === undefined) return client.None();
  const methods = metadata.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
  return methods.includes('client_secret_basic') ? client.ClientSecretBasic(secret) : client.ClientSecretPost(secret);
}

async function claimsOf({ client, configuration }: Provider, current: URL, pending: Pending): Promise<Claims> {
  try {
    const tokens = await client.authorizationCodeGrant(configuration, current, {
      pkceCodeVerifier: pending.verifier,
      expectedState: pending.state,
      expectedNonce: pending.nonce,
      idTokenExpected: true,
    });
    const claims = tokens.claims()!;
    if (configuration.serverMetadata().userinfo_endpoint === undefined) return claims;
    // Many providers keep groups and addresses out of the token. It wins where both speak.
    return { ...(await client.fetchUserInfo(configuration, tokens.access_token, claims.sub)), ...claims };
  } catch (cause) {
    throw failed('the provider’s answer was not accepted', cause);
  }
}

/** `why` is for the log: a browser learns only that it did not work. */
function failed(why: string, cause?: unknown): GatewayError {
  return new GatewayError('sign_on_failed', { cause: new Error(why, { cause }) });
}
