/** `oidc` and `jwt` of the operator's file: people and programs whose names an identity provider vouches for. */
import * as z from 'zod';

import { text } from './schema-parts.ts';
import * as values from './values.ts';

/** Signatures that only the issuer can make. The symmetric ones and `none` are no choice. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const;

const issuer = text(values.urlProblem).describe('Its URL, exactly as its tokens name it. Used as given, private addresses too.');

const claims = z
  .strictObject({
    name: text().default('name').describe('The claim that holds the name of a person.'),
    email: text().default('email').describe('The one with the e-mail address; believed only where `email_verified` is true.'),
    groups: text().default('groups').describe('The one with the groups: a list of texts, or one text.'),
  })
  .prefault({})
  .describe('Which claims tell what. `realm_access.roles` leads into an object where there is no claim of that whole name.');

const value = text().max(256).describe('A value of the claim.');
const team = text(values.idProblem('team')).exactOptional().describe('Id of the team that its people belong to.');
const org = text(values.idProblem('org')).exactOptional().describe('Id of the organisation that its people belong to.');
const NOTHING = 'gives nothing: name what its people get';

/** Tokens of programs give a place, never a role: what leaks from a program must not manage. */
const tokenGroup = z.strictObject({ group: value, team, org }).check((context) => {
  if (context.value.team !== undefined || context.value.org !== undefined) return;
  context.issues.push({ code: 'custom', message: NOTHING, input: context.value });
});

const personGroup = z
  .strictObject({
    group: value,
    role: z.enum(['admin', 'viewer']).exactOptional().describe('Role in the whole installation.'),
    team,
    org,
    admin: z.boolean().default(false).describe('`true`: they lead that team or organisation.'),
  })
  .check((context) => {
    const { role, team, org } = context.value;
    if (role !== undefined || team !== undefined || org !== undefined) return;
    context.issues.push({ code: 'custom', message: NOTHING, input: context.value });
  });

const people = {
  claims,
  allowed_domains: z
    .array(text(values.domainProblem))
    .default([])
    .describe('Domains of e-mail addresses that are let in. Empty: every person of the issuer.'),
  create_users: z
    .boolean()
    .default(true)
    .describe('`false`: only people that are there already, found by their verified e-mail address.'),
};

export const jwt = z
  .strictObject({
    issuer,
    audience: z.array(text()).min(1).describe('Of these, a token must be for one.'),
    jwks_url: text(values.urlProblem).exactOptional().describe('Where its keys are. Absent: where its discovery document says.'),
    algorithms: z.array(z.enum(ALGORITHMS)).min(1).default(['RS256', 'PS256', 'ES256', 'EdDSA']).describe('What may sign.'),
    models: z
      .array(text(values.grantProblem))
      .default(['*'])
      .describe('Public model names, `prefix*` or `*` that tokens may use, within what the person and the team may.'),
    groups: z
      .array(tokenGroup)
      .default([])
      .describe('What groups give: the first one that gives a team says whose budget and limits hold for the call.'),
    ...people,
  })
  .describe('Tokens of an identity provider instead of keys, as `Authorization: Bearer …`. Absent: keys only.');

export const oidc = z
  .strictObject({
    issuer,
    client_id: text().describe('As the provider knows Signalbox.'),
    client_secret: text(values.credentialProblem)
      .exactOptional()
      .describe('By reference. Absent: a public client, by PKCE alone.'),
    scopes: z.array(text()).default(['openid', 'profile', 'email']).describe('What is asked for; `openid` always is.'),
    groups: z
      .array(personGroup)
      .default([])
      .describe(
        'What groups give. Roles, teams and organisations that are named here follow the claim at each sign-on; all others are left as they are.',
      ),
    ...people,
  })
  .describe('Sign-on of people for the console and the admin API. Redirect URI: `{server.public_url}/oidc/callback`.');
