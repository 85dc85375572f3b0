/** A real OpenID Connect provider in this process (`oidc-provider`), whose people sign on without a form: whoever is named next is who signs on. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { type JWTPayload, SignJWT } from 'jose';
import { type ClientMetadata, Provider } from 'oidc-provider';

export const CLIENT_ID = 'signalbox';
export const CLIENT_SECRET = 'secret-of-the-client-0815';

export interface Account {
  sub: string;
  name?: string;
  email?: string;
  email_verified?: boolean;
  groups?: string[];
}

/** Changes what leaves the provider, or what comes to it: for providers that misbehave. True: it has answered. */
export type Tamper = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

export interface IdentityProvider {
  issuer: string;
  /** Who signs on next. */
  next: (account: Account) => void;
  /** Tells it where the client is; before that it answers nothing. */
  knowClient: (url: string, more?: { publicClient?: boolean }) => void;
  /** A token as the provider signs them, of any claims. */
  token: (claims: JWTPayload, header?: { alg?: string; kid?: string; expiresS?: number }) => Promise<string>;
  /** Paths that were asked for. */
  asked: string[];
  tamper: (tamper: Tamper | undefined) => void;
  close: () => Promise<void>;
}

export async function startIdentityProvider(): Promise<IdentityProvider> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const accounts = new Map<string, Account>();
  const asked: string[] = [];
  let current: Account = { sub: 'nobody' };
  let tamper: Tamper | undefined;
  let handle: ((request: IncomingMessage, response: ServerResponse) => unknown) | undefined;
  const server = createServer((request, response) => {
    asked.push((request.url ?? '').replace(/\?.*/, ''));
    void answer(request, response);
  });
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (tamper !== undefined && (await tamper(request, response))) return;
    if (handle === undefined) response.writeHead(503).end();
    else handle(request, response);
  };
  const issuer = await listening(server);
  return {
    issuer,
    asked,
    next(account) {
      current = account;
      accounts.set(account.sub, account);
    },
    knowClient(url, { publicClient = false } = {}) {
      const provider = createProvider(issuer, {
        jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'the-key', use: 'sig', alg: 'RS256' }] },
        client: {
          client_id: CLIENT_ID,
          ...(publicClient ? { token_endpoint_auth_method: 'none' } : { client_secret: CLIENT_SECRET }),
          redirect_uris: [`${url}/oidc/callback`],
          post_logout_redirect_uris: [`${url}/console/`],
        },
        accountOf: (sub) => accounts.get(sub),
      });
      const callback = provider.callback();
      handle = (request, response) => {
        if (request.url?.startsWith('/interaction/') === true) return void interact(provider, current, request, response);
        return callback(request, response);
      };
    },
    token: (claims, { alg = 'RS256', kid = 'the-key', expiresS = 300 } = {}) =>
      new SignJWT({ iss: issuer, aud: CLIENT_ID, ...claims })
        .setProtectedHeader({ alg, kid })
        .setIssuedAt()
        .setExpirationTime(Math.floor(Date.now() / 1000) + expiresS)
        .sign(privateKey),
    tamper(next) {
      tamper = next;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface ProviderParts {
  jwks: { keys: object[] };
  client: ClientMetadata;
  accountOf: (sub: string) => Account | undefined;
}

function createProvider(issuer: string, { jwks, client, accountOf }: ProviderParts): Provider {
  return new Provider(issuer, {
    clients: [client],
    jwks,
    cookies: { keys: [randomBytes(16).toString('hex')] },
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'], groups: ['groups'] },
    scopes: ['openid', 'profile', 'email', 'groups'],
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_context, sub) => {
      const account = accountOf(sub);
      return account && { accountId: sub, claims: () => ({ ...account }) };
    },
    pkce: { required: () => true },
    ttl: { AccessToken: 60, AuthorizationCode: 60, Grant: 60, IdToken: 60, Interaction: 60, Session: 60 },
  });
}

/** The part of a person at the provider's pages. */
async function interact(provider: Provider, account: Account, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { prompt, params, grantId } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    await provider.interactionFinished(request, response, { login: { accountId: account.sub } });
    return;
  }
  const known = grantId === undefined ? undefined : await provider.Grant.find(grantId);
  const grant = known ?? new provider.Grant({ accountId: account.sub, clientId: params['client_id'] as string });
  grant.addOIDCScope(params['scope'] as string);
  await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
}
