import { z } from "zod";
import { VpnPort } from "./lane.ts";
import { Mode, Policy } from "./policy.ts";

/** The agent's configuration file (JSON). Everything but nothing may be left out: see docs/agent.md. */
export const AgentConfig = z.strictObject({
  /** Interfaces that carry traffic from outside. Empty or absent: those of the default routes. */
  interfaces: z
    .array(z.string().regex(/^[A-Za-z0-9_.@:-]{1,15}$/, "not an interface name"))
    .max(32)
    .default([]),
  /** VPN ports. Absent: what the agent finds on the host. */
  ports: z.array(VpnPort).max(64).optional(),
  mode: Mode.default("observe"),
  /** The rest of the local policy; a policy from the service replaces it. */
  policy: Policy.omit({ mode: true }).partial().default({}),
  stateDir: z.string().min(1).max(500).default("/var/lib/ftagent"),
  /** Samples a second that the kernel may hand up, over all lanes, whatever the flood's rate. */
  samplesPerSecond: z.number().int().min(10).max(2000).default(200),
  /** NFLOG group, one listener per network namespace. */
  nflogGroup: z.number().int().min(1).max(65535).default(4817),
  /** WireGuard public keys (base64) by port, where `wg show` cannot be asked. */
  wireguardPublicKeys: z.record(z.string().regex(/^\d{1,5}$/), z.string().regex(/^[A-Za-z0-9+/]{43}=$/)).default({}),
  /** Absent: stand-alone. */
  service: z
    .strictObject({
      url: z.url({ protocol: /^https?$/ }),
      /** Used once to enrol; the node key it earns is kept in stateDir. */
      token: z.string().min(16).max(200).optional(),
    })
    .optional(),
});
export type AgentConfig = z.infer<typeof AgentConfig>;
