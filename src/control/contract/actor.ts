/** Who manages: the admin key, or a person with the roles that he has at this moment. */

export type InstallationRole = 'admin' | 'viewer' | 'none';
export type OrgRole = 'org_admin' | 'member';
export type TeamRole = 'team_admin' | 'member';

export type Actor =
  /** Only on routes that are open to the public. */
  | { kind: 'nobody' }
  | { kind: 'root' }
  /** A virtual key, where agents are listed. `grants`: lists all of which must cover an agent. */
  | { kind: 'caller'; key: string; grants: readonly (readonly string[])[] }
  | {
      kind: 'user';
      /** `usr_…`. */
      id: string;
      name: string;
      role: InstallationRole;
      /** By organisation's id. */
      orgs: Readonly<Record<string, OrgRole>>;
      /** By team's id. */
      teams: Readonly<Record<string, TeamRole>>;
    };

/** How the actor proved who he is. */
export type Via = 'nothing' | 'admin_key' | 'token' | 'session' | 'identity_provider' | 'key';

export interface Identity {
  actor: Actor;
  via: Via;
}
