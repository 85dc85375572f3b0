/** Entities as rows: what is searched for as columns, the whole of it as JSON. Times are epoch ms. */

export interface EntityTable {
  id: string;
  kind: string;
  /** The name in lower case, to be searched in. */
  name: string;
  /** What no two of a kind share: the name within its owner, an e-mail address. */
  identity: string | null;
  org: string | null;
  team: string | null;
  principal: string | null;
  parent: string | null;
  data: string;
}

/** Digests of keys and tokens: no two entities share one. */
export interface EntityDigestTable {
  digest: string;
  entity: string;
}

export interface MembershipTable {
  user_id: string;
  group_id: string;
  role: string;
}

export interface EntitiesTables {
  entities: EntityTable;
  entity_digests: EntityDigestTable;
  memberships: MembershipTable;
}
