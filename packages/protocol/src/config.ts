import * as z from "zod/mini";
import { VpnPort } from "./lane.ts";
import { Mode, Policy } from "./policy.ts";

/** The agent's configuration file (JSON). Everything but nothing may be left out: see docs/agent.md. */
export const AgentConfig = z.strictObject({
  /** Interfaces that carry traffic from outside. Empty or absent: those of the default routes. */
  interfaces: z._default(
    z.array(z.string().check(z.regex(/^[A-Za-z0-9_.@:-]{1,15}$/, "not an interface name"))).check(z.maxLength(32)),
    [],
  ),
  /** VPN ports. Absent: what the agent finds on the host. */
  ports: z.optional(z.array(VpnPort).check(z.maxLength(64))),
  mode: z._default(Mode, "observe"),
  /** The rest of the local policy; a policy from the service replaces it. */
  policy: z._default(z.partial(z.omit(Policy, { mode: true })), {}),
  stateDir: z._default(z.string().check(z.minLength(1), z.maxLength(500)), "/var/lib/ftagent"),
  /** Samples a second that the kernel may hand up, over all lanes, whatever the flood's rate. */
  samplesPerSecond: z._default(z.int().check(z.minimum(10), z.maximum(2000)), 200),
  /** NFLOG group, one listener per network namespace. */
  nflogGroup: z._default(z.int().check(z.minimum(1), z.maximum(65535)), 4817),
  /** WireGuard public keys (base64) by port, where `wg show` cannot be asked. */
  wireguardPublicKeys: z._default(
    z.record(z.string().check(z.regex(/^\d{1,5}$/)), z.string().check(z.regex(/^[A-Za-z0-9+/]{43}=$/))),
    {},
  ),
  /** Prometheus metrics over HTTP; absent: none. Whoever can reach the address can read them. */
  metrics: z.optional(
    z.strictObject({
      port: z.int().check(z.minimum(1), z.maximum(65535)),
      address: z._default(z.union([z.ipv4(), z.ipv6()]), "127.0.0.1"),
    }),
  ),
  /** Absent: stand-alone. */
  service: z.optional(
    z.strictObject({
      url: z.url({ protocol: /^https?$/ }),
      /** Used once to enrol; the node key it earns is kept in stateDir. */
      token: z.optional(z.string().check(z.minLength(16), z.maxLength(200))),
    }),
  ),
});
export type AgentConfig = z.infer<typeof AgentConfig>;
