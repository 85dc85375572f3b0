/** The audit log as rows. Times are epoch ms. */
export interface AuditTables {
  audit_log: {
    seq: number;
    at_ms: number;
    actor: string;
    via: string;
    action: string;
    outcome: 'begun' | 'done' | 'failed';
    target: string | null;
    before_json: string | null;
    after_json: string | null;
    error: string | null;
    ip: string;
    request_id: string;
    prev: string;
    hash: string;
  };
}
