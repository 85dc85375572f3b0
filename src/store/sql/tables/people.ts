/** People's identities and sessions as rows. Times are epoch ms. */
export interface PeopleTables {
  linked_identities: {
    issuer: string;
    subject: string;
    user_id: string;
    linked_at_ms: number;
  };
  console_sessions: {
    /** SHA-256 of what the cookie holds. */
    digest: string;
    id: string;
    user_id: string;
    created_at_ms: number;
    seen_at_ms: number;
    ends_at_ms: number;
    ip: string;
    agent: string;
  };
}
