import { existsSync, readFileSync } from "node:fs";

/** `NAME=value` lines of a file, comments and blank lines left out; what the environment says already wins. */
export function readEnvironment(file, env = process.env) {
  if (!existsSync(file)) return env;
  const lines = readFileSync(file, "utf8").split(/\r?\n/);
  const pairs = lines.flatMap((line) => {
    const [, name, value] = /^\s*([A-Z][A-Z0-9_]*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    return name && value ? [[name, value.replace(/^(["'])(.*)\1$/, "$2")]] : [];
  });
  return { ...Object.fromEntries(pairs), ...env };
}
