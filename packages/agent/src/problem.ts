/** A fault that the operator can mend: one line of what is wrong, one of what to do. Anything else is a bug and shows its stack. */
export class Problem extends Error {
  readonly remedy: string;
  readonly exitCode: number;
  constructor(message: string, remedy: string, exitCode = 1, cause?: unknown) {
    super(message, { cause });
    this.remedy = remedy;
    this.exitCode = exitCode;
  }
}
/** Exit code for a faulty configuration or command line (sysexits EX_USAGE is 64; most tools use 2). */
export const EXIT_CONFIG = 2;
