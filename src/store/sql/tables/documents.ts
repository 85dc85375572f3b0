/** The API layer of the configuration as rows. Times are epoch ms. */
export interface DocumentTables {
  config_versions: {
    number: number;
    at_ms: number;
    by_actor: string;
    note: string;
    content_json: string;
  };
  credentials: {
    provider: string;
    bound_to: string;
    sealed: string;
    at_ms: number;
    by_actor: string;
  };
}
