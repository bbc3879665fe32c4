import type { AgentConfig } from "@flowtriq/protocol/config";
import type { VpnPort } from "@flowtriq/protocol/lane";
import { hostChecks } from "./checks-host.ts";
import { kernelChecks } from "./checks-kernel.ts";
import { readConfig } from "./config.ts";
import { agentSocket, askAgent } from "./control.ts";
import { discoverPorts, watchedInterfaces } from "./host.ts";
import { Problem } from "./problem.ts";
import type { StatusReport } from "./status.ts";
import { type Answer, printable, type Style, wrap } from "./terminal.ts";

/** One thing that was looked at. `unseen`: this user may not look, or the tool for it is missing. */
export type Check = {
  check: string;
  level: "ok" | "warning" | "problem" | "unseen";
  finding: string;
  /** What to do, for all but `ok`. */
  remedy?: string;
};

/** What all checks look at. */
export type Patient = {
  config: AgentConfig;
  interfaces: string[];
  ports: VpnPort[];
  running: StatusReport | undefined;
  isRoot: boolean;
};

/** Checks the host and says what to do; changes nothing. */
export async function doctor(configFile: string | undefined, style: Style): Promise<Answer> {
  const { patient, checks: first } = await admit(configFile);
  const checks = [
    ...first,
    ...(
      await Promise.all(
        Object.entries({ ...kernelChecks, ...hostChecks }).map(([name, check]) => look(name, check, patient)),
      )
    ).flat(),
  ];
  const bad = checks.some(({ level }) => level === "problem");
  return { json: { ok: !bad, checks }, text: doctorText(checks, style), exitCode: bad ? 1 : 0 };
}

/** A check that fails is a finding, not the end of the others. */
async function look(
  name: string,
  check: (patient: Patient) => Check[] | Promise<Check[]>,
  patient: Patient,
): Promise<Check[]> {
  try {
    return await check(patient);
  } catch (error) {
    const finding = `could not be checked: ${(error as Error).message}`;
    return [
      {
        check: name,
        level: "unseen",
        finding,
        remedy: error instanceof Problem ? error.remedy : "Run it as root.",
      },
    ];
  }
}

async function admit(configFile: string | undefined): Promise<{ patient: Patient; checks: Check[] }> {
  const checks: Check[] = [];
  let config = readConfig(undefined);
  try {
    config = readConfig(configFile);
    const finding =
      configFile === undefined ? "none given: all is found on the host, mode observe" : `valid, mode ${config.mode}`;
    checks.push({ check: "configuration", level: "ok", finding });
  } catch (error) {
    checks.push(problemCheck("configuration", error));
  }
  let interfaces: string[] = [];
  try {
    interfaces = watchedInterfaces(config);
    checks.push({ check: "interfaces", level: "ok", finding: interfaces.join(", ") });
  } catch (error) {
    checks.push(problemCheck("interfaces", error));
  }
  const running = await statusOf(config);
  const ports = config.ports ?? running?.ports ?? (await discoverPorts());
  return { patient: { config, interfaces, ports, running, isRoot: process.getuid?.() === 0 }, checks };
}

function problemCheck(check: string, error: unknown): Check {
  if (!(error instanceof Problem)) throw error;
  return { check, level: "problem", finding: error.message, remedy: error.remedy };
}

async function statusOf(config: AgentConfig): Promise<StatusReport | undefined> {
  const answer = await Promise.resolve()
    .then(() => askAgent(agentSocket(config.stateDir), { command: "status" }))
    .catch(() => undefined);
  return answer?.ok as StatusReport | undefined;
}

const LEVEL_WORDS = { ok: "ok", warning: "warning", problem: "PROBLEM", unseen: "unseen" } as const;

function doctorText(checks: Check[], { width, paint }: Style): string {
  const colour = { ok: paint.green, warning: paint.yellow, problem: paint.red, unseen: paint.dim };
  const name = Math.max(...checks.map(({ check }) => check.length));
  const left = 9 + name + 2;
  const lines = checks.flatMap(({ check, level, finding, remedy }) => [
    `${colour[level](LEVEL_WORDS[level].padEnd(9))}${check.padEnd(name + 2)}${wrap(printable(finding), width - left, left)}`,
    ...(remedy && level !== "ok"
      ? [`${" ".repeat(left)}${wrap(`> ${printable(remedy)}`, width - left - 2, left + 2)}`]
      : []),
  ]);
  const count = (level: Check["level"]) => checks.filter((check) => check.level === level).length;
  return [
    ...lines,
    "",
    `${count("problem")} problems, ${count("warning")} warnings, ${count("unseen")} not seen, ${count("ok")} fine.`,
  ].join("\n");
}
