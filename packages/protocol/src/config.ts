import * as z from "zod/mini";
import { VpnPort } from "./lane.ts";
import { Mode, Policy } from "./policy.ts";

const path = z.string().check(z.regex(/^\//, "not an absolute path"), z.maxLength(500));

/** Where VPN daemons tell their tunnels. What is absent is found on the host; an empty list: there is none to ask. */
const Vpn = z.strictObject({
  openvpn: z.optional(
    z
      .array(
        z
          .strictObject({
            /** Written every second (`status FILE 1`), version 1 to 3. */
            status: z.optional(path),
            /** A Unix socket, or `127.0.0.1:7505`. */
            management: z.optional(
              z.string().check(z.regex(/^(\/.{1,106}|[^\s/]{1,255}:\d{1,5})$/, "not a path or HOST:PORT")),
            ),
            managementPasswordFile: z.optional(path),
          })
          .check(
            z.refine(
              (doors) => doors.status !== undefined || doors.management !== undefined,
              "give status or management",
            ),
          ),
      )
      .check(z.maxLength(16)),
  ),
  /** Control sockets (vici). */
  strongswan: z.optional(z.array(path).check(z.maxLength(8))),
});

/** The agent's configuration file (JSON). Everything but nothing may be left out: see docs/agent.md. */
export const AgentConfig = z.strictObject({
  /** Interfaces that carry traffic from outside. Empty or absent: those of the default routes. */
  interfaces: z._default(
    z.array(z.string().check(z.regex(/^[A-Za-z0-9_.@:-]{1,15}$/, "not an interface name"))).check(z.maxLength(32)),
    [],
  ),
  /** VPN ports. Absent: what the agent finds on the host. */
  ports: z.optional(z.array(VpnPort).check(z.maxLength(64))),
  vpn: z._default(Vpn, {}),
  mode: z._default(Mode, "observe"),
  /** The rest of the local policy; a policy from the service replaces it. */
  policy: z._default(z.partial(z.omit(Policy, { mode: true })), {}),
  stateDir: z._default(z.string().check(z.minLength(1), z.maxLength(500)), "/var/lib/ftagent"),
  /** Packets of the VPN's UDP ports go past connection tracking: cheaper, but no rule of the host may ask for their state. */
  notrack: z._default(z.boolean(), false),
  /** Samples a second that the kernel may hand up, over all lanes, whatever the flood's rate. */
  samplesPerSecond: z._default(z.int().check(z.minimum(10), z.maximum(2000)), 200),
  /** NFLOG group, one listener per network namespace. */
  nflogGroup: z._default(z.int().check(z.minimum(1), z.maximum(65535)), 4817),
  /** Packet captures of attacks, kept in `captures` of stateDir; the oldest make room for new ones. */
  captures: z.prefault(
    z.strictObject({
      /** 0: none are made, and no traffic is recorded. */
      maxFiles: z._default(z.int().check(z.minimum(0), z.maximum(1_000)), 50),
      maxMegabytes: z._default(z.int().check(z.minimum(1), z.maximum(10_000)), 100),
      /** Octets kept of what follows a packet's headers: a VPN message's own header fits in 16. */
      payloadBytes: z._default(z.int().check(z.minimum(0), z.maximum(64)), 16),
    }),
    {},
  ),
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
