import { type Logger, pino } from "pino";

export type { Logger };

/** JSON lines on standard output. Of errors only what cannot carry a secret: drivers put parameters and passwords in theirs. */
export const openLog = (name: string, level: string): Logger =>
  pino({ name, level, serializers: { err: brief }, redact: ["authorization", "token", "key", "ticket"] });

function brief(error: unknown) {
  if (!(error instanceof Error)) return { message: String(error).slice(0, 200) };
  const root = error.cause instanceof Error ? error.cause : error;
  return {
    type: root.name,
    message: root.message.split("\n")[0]?.slice(0, 200),
    ...("code" in root && { code: String(root.code) }),
    stack: root.stack
      ?.split("\n")
      .filter((line) => line.startsWith("    at "))
      .slice(0, 6)
      .join("\n"),
  };
}
