import type { GroupRule, PeopleRules } from '../core/person.ts';
import type { Config } from './schema.ts';
import type { JwtSettings, OidcSettings, Snapshot } from './snapshot.ts';

type PeopleConfig = Omit<NonNullable<Config['oidc']>, 'issuer' | 'client_id' | 'client_secret' | 'scopes' | 'groups'>;

export function resolvePeople({ jwt, oidc }: Pick<Config, 'jwt' | 'oidc'>): Pick<Snapshot, 'jwt' | 'oidc'> {
  return { ...(jwt !== undefined && { jwt: resolveJwt(jwt) }), ...(oidc !== undefined && { oidc: resolveOidc(oidc) }) };
}

function resolveJwt(config: NonNullable<Config['jwt']>): JwtSettings {
  const { issuer, audience, jwks_url, algorithms, models } = config;
  return {
    issuer,
    audience,
    ...(jwks_url !== undefined && { jwksUrl: jwks_url }),
    algorithms,
    models,
    people: rulesOf(
      config,
      config.groups.map((each) => ({ ...each, leads: false })),
    ),
  };
}

function resolveOidc(config: NonNullable<Config['oidc']>): OidcSettings {
  const { issuer, client_id, client_secret, scopes } = config;
  return {
    issuer,
    clientId: client_id,
    ...(client_secret !== undefined && { clientSecret: client_secret }),
    scopes: [...new Set(['openid', ...scopes])],
    people: rulesOf(
      config,
      config.groups.map(({ admin, ...rest }) => ({ ...rest, leads: admin })),
    ),
  };
}

function rulesOf({ claims, allowed_domains, create_users }: PeopleConfig, groups: GroupRule[]): PeopleRules {
  return {
    claims,
    groups,
    allowedDomains: allowed_domains.map((domain) => domain.toLowerCase()),
    createsUsers: create_users,
  };
}
