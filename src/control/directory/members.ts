/** Who belongs to which team and organisation, and as what. */
import type { EntitiesPort, Membership } from '../../store/ports/entities.ts';
import { invalid, named, notThere, require } from './change.ts';
import type { DirectoryParts, Written } from './parts.ts';
import type { Writer } from './writer.ts';

export interface Members {
  /** `group`: a team's or an organisation's id. Adds, or changes the role. */
  set: (membership: Membership) => Promise<Written<Membership> & { after: Membership }>;
  remove: (user: string, group: string) => Promise<Written<Membership> & { before: Membership }>;
  /** As `remove`; out of an organisation also out of each of its teams, since keys hold by the team that they stand in. */
  expel: (user: string, group: string) => Promise<Written<Membership> & { before: Membership; teams: Membership[] }>;
  of: (group: string) => Promise<Membership[]>;
  ofUser: (user: string) => Promise<Membership[]>;
}

export function createMembers(parts: DirectoryParts, writer: Writer): Members {
  const { entities } = parts.store;
  const find = async (user: string, group: string): Promise<Membership | undefined> =>
    (await entities.membershipsOf([user])).find((each) => each.group === group);
  return {
    set: (membership) =>
      writer.exclusive(async () => {
        const { user, group, role } = membership;
        const kind = kindOf(group);
        await require(entities, kind, group);
        await named(entities, { kind: 'user', id: user, param: 'user' });
        if (role !== 'member' && role !== `${kind}_admin`) throw invalid('role', `must be \`member\` or \`${kind}_admin\``);
        const before = await find(user, group);
        const inForce = await writer.commit({ members: [membership] });
        return { ...(before && { before }), after: membership, inForce };
      }),
    remove: (user, group) =>
      writer.exclusive(async () => {
        const before = await find(user, group);
        if (before === undefined) throw notThere();
        return { before, inForce: await writer.commit({ leavers: [{ user, group }] }) };
      }),
    expel: (user, group) =>
      writer.exclusive(async () => {
        const held = await entities.membershipsOf([user]);
        const teams = kindOf(group) === 'org' ? await teamsOf(entities, group, held) : [];
        const before =
          held.find((each) => each.group === group) ?? (teams.length > 0 ? { user, group, role: 'member' } : undefined);
        if (before === undefined) throw notThere();
        const leavers = [{ user, group }, ...teams.map((each) => ({ user, group: each.group }))];
        return { before, teams, inForce: await writer.commit({ leavers }) };
      }),
    of: (group) => entities.membersOf(group),
    ofUser: (user) => entities.membershipsOf([user]),
  };
}

/** Those that are of teams of the organisation. */
async function teamsOf(entities: EntitiesPort, org: string, held: readonly Membership[]): Promise<Membership[]> {
  const found = await Promise.all(
    held
      .filter(({ group }) => kindOf(group) === 'team')
      .map(async (each) => ({ each, team: await entities.get('team', each.group) })),
  );
  return found.filter(({ team }) => team?.org === org).map(({ each }) => each);
}

function kindOf(group: string): 'team' | 'org' {
  return group.startsWith('team_') ? 'team' : 'org';
}
