/** BSD's EX_CONFIG: the configuration is missing or wrong. */
export const EXIT_CONFIG = 78;

/** A start that cannot go on, for a reason that the operator can mend: printed as it is, without a stack. */
export class StartError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = 'StartError';
    this.exitCode = exitCode;
  }
}

/** The words of anything thrown; never its stack or its properties, which may hold what no log should. */
export function errorText(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
