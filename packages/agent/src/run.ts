import type { AgentConfig } from "@flowtriq/protocol/config";
import { Agent } from "./agent.ts";
import { readConfig } from "./config.ts";
import { type Command, controlSocket, serveControl } from "./control.ts";
import { enrolment } from "./enrolment.ts";
import { Figures } from "./figures.ts";
import { discoverPorts } from "./host.ts";
import { Problem } from "./problem.ts";
import { changedKeys } from "./reload.ts";
import { Sink } from "./sink.ts";
import { Spool } from "./spool.ts";
import { StateDir } from "./state.ts";
import type { StatusReport } from "./status.ts";
import { goBeforeOthers } from "./system.ts";
import { enroll, Uplink } from "./uplink.ts";

/** SIGTERM must be answered within 5 s; what could not be reported by then waits in the spool. */
const LAST_REPORT_MS = 2_000;
const ENROL_RETRY_MS = 10_000;

/** Runs until told to stop. Resolves with the exit code. */
export async function run(configFile: string | undefined, eventsFile: string | undefined): Promise<number> {
  const config = readConfig(configFile);
  goBeforeOthers();
  const state = new StateDir(config.stateDir);
  const service = config.service ?? state.readService();
  const spool = service ? new Spool(state.file("events.spool")) : undefined;
  const figures = config.metrics ? new Figures() : undefined;
  let uplink: Uplink | undefined;
  const sink = new Sink({
    file: eventsFile,
    spool,
    onEvent: (event) => {
      uplink?.wake();
      figures?.take(event);
    },
  });
  const agent = new Agent({
    config: { ...config, service },
    state,
    sink,
    onObservation: (seen) => uplink?.observe(seen),
  });
  // Before the first rule is in the kernel, so that no signal can leave it there, and so that none ends us by mistake.
  const stopped = new Promise<string>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal));
  });
  let started = false;
  // Until then nothing can be older than what was just read and opened.
  process.on("SIGHUP", () => started && reload(configFile, config, agent, sink));
  await agent.start();
  started = true;
  const status = (): StatusReport => ({
    ...agent.status(),
    spoolEvents: spool?.size ?? null,
    service: service
      ? { url: service.url, ...(uplink?.state ?? { connected: false, lastReportAt: null, trouble: null }) }
      : null,
  });
  const control = serveControl(controlSocket(state.path), (command) => obey(command, agent, status));
  const metrics = await serveMetrics(config, figures, status, sink);
  if (service && spool) {
    void connect(service, state, spool, agent, sink).then((connected) => {
      uplink = connected;
      uplink.start();
    });
  }
  const reason = await stopped;
  control.close();
  metrics?.close();
  agent.stop(reason);
  await uplink?.stop(LAST_REPORT_MS);
  spool?.close();
  return 0;
}

function obey(command: Command, agent: Agent, status: () => StatusReport): unknown {
  if (command.command === "status") return status();
  if (command.command === "withdraw") return { withdrawn: agent.withdraw(command.attack) };
  agent.withdrawAll();
  return { withdrawn: true };
}

/** SIGHUP: the events file may have been moved away, and the configuration edited. What is faulty changes nothing. */
function reload(configFile: string | undefined, started: AgentConfig, agent: Agent, sink: Sink): void {
  const warn = (code: string, message: string) =>
    sink.emit({ event: "agent.warning", code, message: message.slice(0, 500) });
  try {
    sink.reopen();
  } catch (error) {
    warn("events_file", `${(error as Error).message}; the old one is still written to.`);
  }
  try {
    const config = readConfig(configFile);
    const later = changedKeys(started, config);
    agent.reconfigure(config);
    if (later.length > 0) warn("restart_needed", `Changed, and taken at the next start only: ${later.join(", ")}.`);
  } catch (error) {
    warn("config_refused", `${(error as Error).message} The old configuration stays.`);
  }
}

/** A door that cannot be opened is said; protection does not depend on it. */
async function serveMetrics(
  config: AgentConfig,
  figures: Figures | undefined,
  status: () => StatusReport,
  sink: Sink,
): Promise<{ close: () => void } | undefined> {
  if (!config.metrics || !figures) return undefined;
  const { serve } = await import("./metrics.ts");
  return serve(config.metrics, figures, status, (message) =>
    sink.emit({ event: "agent.warning", code: "metrics_unavailable", message }),
  );
}

type Service = NonNullable<AgentConfig["service"]>;

/** Enrols where it must, and goes on trying: the node is protected meanwhile. */
async function connect(service: Service, state: StateDir, spool: Spool, agent: Agent, sink: Sink): Promise<Uplink> {
  for (let tries = 0; ; tries++) {
    try {
      const nodeKey = await identity(service, state, agent);
      return new Uplink({
        url: service.url,
        nodeKey,
        spool,
        appliedRevision: () => agent.appliedRevision,
        onPolicy: (policy) => {
          if (policy.revision !== agent.appliedRevision) agent.applyPolicy(policy);
        },
        onTrouble: (code, message) => sink.emit({ event: "agent.warning", code, message }),
      });
    } catch (error) {
      if (tries === 0) {
        const message = error instanceof Problem ? `${error.message}. ${error.remedy}` : String(error);
        process.stderr.write(`${message}\n`);
        sink.emit({ event: "agent.warning", code: "enrolment_failed", message: message.slice(0, 500) });
      }
      await new Promise((resolve) => setTimeout(resolve, ENROL_RETRY_MS));
    }
  }
}

async function identity(service: Service, state: StateDir, agent: Agent): Promise<string> {
  const known = state.readIdentity();
  if (known) return known.nodeKey;
  if (!service.token) throw new Problem("this node has not enrolled", 'Set "service.token" to an enrolment token.');
  const ports = agent.ports.length > 0 ? agent.ports : await discoverPorts();
  const answer = await enroll(service.url, enrolment(service.token, state, ports));
  state.writeIdentity(answer);
  agent.applyPolicy(answer.policy);
  return answer.nodeKey;
}
