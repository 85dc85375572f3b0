/** The API layer of the configuration: its versions, and the credentials of its providers, sealed. */

export interface DocumentVersion {
  /** 1, 2, 3… The greatest is in force. */
  number: number;
  atMs: number;
  /** `root` or a user's id. */
  by: string;
  note: string;
  /** JSON; holds no secret. */
  content: string;
}

export interface SealedCredential {
  provider: string;
  /** The type and base URLs it may be sent to. */
  boundTo: string;
  sealed: string;
  atMs: number;
  by: string;
}

export interface DocumentsPort {
  /** The version in force; undefined: nothing was ever written. */
  head(): Promise<DocumentVersion | undefined>;
  get(number: number): Promise<DocumentVersion | undefined>;
  /** Newest first, only those before that number. */
  list(query: { before?: number | undefined; limit: number }): Promise<Omit<DocumentVersion, 'content'>[]>;
  /** Rejects with `conflict` where the number is taken. `dropCredentials`: of these providers, in the same transaction. */
  append(version: DocumentVersion, dropCredentials: readonly string[]): Promise<void>;
  credentials(): Promise<SealedCredential[]>;
  putCredential(credential: SealedCredential): Promise<void>;
  /** False: there was none. */
  removeCredential(provider: string): Promise<boolean>;
  /** The same credentials under another key, all or none. Rejects with `conflict` where one has changed or gone since it was read as `before`. */
  reseal(changes: readonly { provider: string; before: string; sealed: string }[]): Promise<void>;
}
