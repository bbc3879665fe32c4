import type { VpnPort } from "@flowtriq/protocol/lane";
import type { EnrollRequest } from "@flowtriq/protocol/wire";
import { machine } from "./host.ts";
import type { StateDir } from "./state.ts";
import { VERSION } from "./version.ts";

/** Who this node says it is when it enrols. */
export const enrolment = (token: string, state: StateDir, ports: VpnPort[]): EnrollRequest => ({
  token,
  ...machine(state.machineId()),
  agentVersion: VERSION,
  ports,
});
