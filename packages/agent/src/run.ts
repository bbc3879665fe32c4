import type { AgentConfig } from "@flowtriq/protocol/config";
import { Agent } from "./agent.ts";
import { controlSocket, serveControl } from "./control.ts";
import { discoverPorts, machine } from "./host.ts";
import { Problem } from "./problem.ts";
import { Sink } from "./sink.ts";
import { Spool } from "./spool.ts";
import { StateDir } from "./state.ts";
import { enroll, Uplink } from "./uplink.ts";
import { VERSION } from "./version.ts";

/** SIGTERM must be answered within 5 s; what could not be reported by then waits in the spool. */
const LAST_REPORT_MS = 2_000;
const ENROL_RETRY_MS = 10_000;

/** Runs until told to stop. Resolves with the exit code. */
export async function run(config: AgentConfig, eventsFile: string | undefined): Promise<number> {
  const state = new StateDir(config.stateDir);
  const spool = config.service ? new Spool(state.file("events.spool")) : undefined;
  let uplink: Uplink | undefined;
  const sink = new Sink({ file: eventsFile, spool, onEvent: () => uplink?.wake() });
  const agent = new Agent({ config, state, sink, onObservation: (seen) => uplink?.observe(seen) });
  // Before the first rule is in the kernel, so that no signal can leave it there.
  const stopped = new Promise<string>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(signal, () => resolve(signal));
  });
  await agent.start();
  const control = serveControl(controlSocket(state.path), (command) => {
    if (command.command === "status") return agent.status();
    if (command.command === "withdraw") return { withdrawn: agent.withdraw(command.attack) };
    agent.withdrawAll();
    return { withdrawn: true };
  });
  if (config.service && spool) {
    void connect(config.service, state, spool, agent, sink).then((connected) => {
      uplink = connected;
      uplink.start();
    });
  }
  const reason = await stopped;
  control.close();
  agent.stop(reason);
  await uplink?.stop(LAST_REPORT_MS);
  spool?.close();
  return 0;
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
  const answer = await enroll(service.url, {
    token: service.token,
    ...machine(state.machineId()),
    agentVersion: VERSION,
    ports: agent.ports.length > 0 ? agent.ports : await discoverPorts(),
  });
  state.writeIdentity(answer);
  agent.applyPolicy(answer.policy);
  return answer.nodeKey;
}
