/** A fault that the operator can mend: one line of what is wrong, one of what to do. Anything else is a bug and shows its stack. */
export class Problem extends Error {
  readonly remedy: string;
  readonly exitCode: number;
  constructor(message: string, remedy: string, exitCode = EXIT_TROUBLE, cause?: unknown) {
    super(message, { cause });
    this.remedy = remedy;
    this.exitCode = exitCode;
  }
}
/** The exit codes of every command: something is wrong here. */
export const EXIT_TROUBLE = 1;
/** A faulty configuration or command line. */
export const EXIT_CONFIG = 2;

export const notPermitted = (cause?: unknown): Problem =>
  new Problem(
    "not permitted to read or change the kernel's rules",
    "Run as root, or with CAP_NET_ADMIN and CAP_NET_RAW.",
    EXIT_TROUBLE,
    cause,
  );
