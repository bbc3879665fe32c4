import fs from "node:fs";
import { AgentConfig } from "@flowtriq/protocol/config";
import { Policy } from "@flowtriq/protocol/policy";
import * as z from "zod/mini";

z.config(z.locales.en());

import { EXIT_CONFIG, Problem } from "./problem.ts";

const MAX_CONFIG_BYTES = 1 << 20;

/** Reads and checks a configuration file. Without a path: the defaults, with what the host shows. */
export function readConfig(path: string | undefined): AgentConfig {
  if (path === undefined) return AgentConfig.parse({});
  return parseConfig(readText(path), path);
}

function readText(path: string): string {
  try {
    if (fs.statSync(path).size > MAX_CONFIG_BYTES)
      throw new Problem(`${path} is larger than 1 MiB`, "Give a configuration file.", EXIT_CONFIG);
    return fs.readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem(
      `cannot read ${path}: ${(error as Error).message}`,
      "Check the path and its permissions.",
      EXIT_CONFIG,
      error,
    );
  }
}

export function parseConfig(text: string, path: string): AgentConfig {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Problem(
      `${path} is not JSON: ${(error as Error).message}`,
      "Mend the file; `config check` tests it.",
      EXIT_CONFIG,
      error,
    );
  }
  const parsed = AgentConfig.safeParse(json);
  if (!parsed.success) {
    throw new Problem(
      `${path} is not a valid configuration:\n${z.prettifyError(parsed.error)}`,
      "Nothing was changed.",
      EXIT_CONFIG,
    );
  }
  const seen = new Set<string>();
  for (const { transport, port } of parsed.data.ports ?? []) {
    const name = `${transport} ${port}`;
    if (seen.has(name)) throw new Problem(`${path} declares ${name} twice`, "Keep one of them.", EXIT_CONFIG);
    seen.add(name);
  }
  return parsed.data;
}

/** The policy that holds until the service sends another. */
export const localPolicy = (config: AgentConfig): Policy => Policy.parse({ ...config.policy, mode: config.mode });
