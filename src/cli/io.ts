/** What a command may touch of the process it runs in. */
export interface CliIo {
  env: Readonly<Record<string, string | undefined>>;
  /** Working directory, absolute. */
  cwd: string;
  /** Text for stdout and stderr, line ends included. */
  out: (text: string) => void;
  err: (text: string) => void;
}
