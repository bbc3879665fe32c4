import fs from "node:fs";
import os from "node:os";
import { BARE_HOST } from "@flowtriq/mitigation/facts";
import { toNftables } from "@flowtriq/mitigation/nftables";
import type { Check, Patient } from "./doctor.ts";
import { hookOf } from "./firewall.ts";
import { lanesInKernel } from "./kernel.ts";
import { EBUSY, ENOENT, NetlinkError } from "./netlink-error.ts";
import { NflogListener } from "./nflog.ts";
import { NftSocket } from "./nft-socket.ts";
import { Problem } from "./problem.ts";
import { surroundings } from "./surroundings.ts";
import { interfaceNames, lines, nft, tool } from "./system.ts";
import { featuresOn, missingCapabilities, nftVersion } from "./tool-output.ts";
import { NAME } from "./usage.ts";

/** The kernel's side: what rules it takes, and who else has some. */
export const kernelChecks = { capabilities, kernel, nftables, nflog, conntrack, leftovers, firewalls, offloads };

const ROOT = "Run it as root to see this.";

function capabilities(): Check[] {
  const missing = missingCapabilities(fs.readFileSync("/proc/self/status", "utf8"));
  const check = "capabilities";
  if (missing.length === 0) return [{ check, level: "ok", finding: "CAP_NET_ADMIN and CAP_NET_RAW" }];
  const isRoot = process.getuid?.() === 0;
  return isRoot
    ? [
        {
          check,
          level: "problem",
          finding: `root without ${missing.join(" and ")}`,
          remedy: "A container must be given both.",
        },
      ]
    : [
        {
          check,
          level: "unseen",
          finding: `this user has no ${missing.join(", no ")}: the agent could not run as it`,
          remedy: ROOT,
        },
      ];
}

function kernel({ interfaces, ports, isRoot, config }: Patient): Check[] {
  const release = os.release();
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  const since = (wantedMajor: number, wantedMinor: number) =>
    major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
  const check = "kernel";
  if (!since(4, 10))
    return [
      {
        check,
        level: "problem",
        finding: `Linux ${release} is too old for the rules`,
        remedy: "Upgrade to 5.10 or newer.",
      },
    ];
  if (!isRoot || interfaces.length === 0) {
    const finding = `Linux ${release}${since(5, 10) ? ", new enough for the ingress hook" : ": the slower prerouting hook"}; not tried`;
    return [{ check, level: "unseen", finding, remedy: ROOT }];
  }
  const facts = {
    table: NAME,
    interfaces,
    ports,
    hook: "ingress" as const,
    nflogGroup: config.nflogGroup,
    samplesPerSecond: config.samplesPerSecond,
    trips: () => ({ pps: 1_000, burst: 100 }),
    ...BARE_HOST,
    ...surroundings(),
  };
  try {
    return hookOf(facts) === "ingress"
      ? [{ check, level: "ok", finding: `Linux ${release} takes the rules at the ingress hook` }]
      : [
          {
            check,
            level: "warning",
            finding: `Linux ${release} takes the rules at the prerouting hook only: a drop costs more there`,
            remedy: "Linux 5.10 and nftables 1.0 bring the ingress hook.",
          },
        ];
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const rules = toNftables(facts).split("\n").length;
    return [
      {
        check,
        level: "problem",
        finding: `the ${rules} lines of rules are refused: ${error.message}`,
        remedy: error.remedy,
      },
    ];
  }
}

async function nftables(): Promise<Check[]> {
  const check = "nftables";
  const said = await tool("nft", ["--version"]);
  if (said === undefined)
    return [{ check, level: "problem", finding: "nft is not installed", remedy: "Install the package nftables." }];
  const version = nftVersion(said);
  if (!version)
    return [{ check, level: "unseen", finding: `nft says ${said.trim()}`, remedy: "nftables 1.0 or newer is needed." }];
  const [major, minor] = version;
  return major >= 1
    ? [{ check, level: "ok", finding: `nft ${major}.${minor}` }]
    : [
        {
          check,
          level: "warning",
          finding: `nft ${major}.${minor} is older than what the rules are written for`,
          remedy: "Upgrade nftables to 1.0 or newer.",
        },
      ];
}

/** The group is bound for a moment when nobody else has it: the kernel has no other way to tell. */
function nflog({ config, running, isRoot }: Patient): Check[] {
  const check = "samples";
  const group = `NFLOG group ${config.nflogGroup}`;
  if (running) return [{ check, level: "ok", finding: `${group} is held by the running agent` }];
  if (!isRoot) return [{ check, level: "unseen", finding: `${group} was not tried`, remedy: ROOT }];
  try {
    new NflogListener(config.nflogGroup, 64).close();
    return [{ check, level: "ok", finding: `${group} is free` }];
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    const taken = error.errno === EBUSY;
    return [
      {
        check,
        level: "problem",
        finding: taken ? `${group} is taken by another program` : error.message,
        remedy: taken
          ? 'Set "nflogGroup" to another number, or stop that program.'
          : "The kernel needs CONFIG_NETFILTER_NETLINK_LOG.",
      },
    ];
  }
}

function conntrack(): Check[] {
  const check = "conntrack";
  const read = (name: string) => Number(lines(`/proc/sys/net/netfilter/nf_conntrack_${name}`)[0] ?? Number.NaN);
  const [count, max] = [read("count"), read("max")];
  if (Number.isNaN(max))
    return [{ check, level: "ok", finding: "not loaded: there is nothing that a flood could fill" }];
  const finding = `${count} of ${max} entries; attacks are dropped before they make any`;
  return count > max * 0.8
    ? [
        {
          check,
          level: "warning",
          finding: `nearly full: ${count} of ${max} entries`,
          remedy: "Raise net.netfilter.nf_conntrack_max.",
        },
      ]
    : [{ check, level: "ok", finding }];
}

/** Rules whose agent is gone: nobody renews them, so those that drop end with their lease. */
function leftovers({ running, isRoot }: Patient): Check[] {
  const check = "own rules";
  if (running) return [{ check, level: "ok", finding: "held by the running agent" }];
  if (!isRoot) return [{ check, level: "unseen", finding: "whether an agent that is gone left some", remedy: ROOT }];
  const socket = new NftSocket(NAME);
  try {
    const armed = lanesInKernel(socket).flatMap((lane) => lane.armedSeconds ?? []);
    if (armed.length === 0) return [{ check, level: "ok", finding: "none that drop" }];
    const seconds = Math.ceil(Math.max(...armed));
    const finding = `${armed.length} lanes still drop though no agent runs, for ${seconds} s at most`;
    return [
      {
        check,
        level: "warning",
        finding,
        remedy: `Start the agent, which takes them over, or: ${NAME} withdraw --all`,
      },
    ];
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === ENOENT)
      return [{ check, level: "ok", finding: "none in the kernel" }];
    throw error;
  } finally {
    socket.close();
  }
}

/** Other firewalls go on working beside ours; what matters is which of them an operator would not see, or which flush ours. */
async function firewalls({ isRoot }: Patient): Promise<Check[]> {
  const check = "firewalls";
  const found: Check[] = [];
  if (/^ENABLED=yes/m.test(lines("/etc/ufw/ufw.conf").join("\n"))) {
    found.push({ check, level: "ok", finding: "ufw is enabled; its rules come after ours and are not touched" });
  }
  if (processNames({ here: true }).has("firewalld")) {
    found.push({ check, level: "ok", finding: "firewalld runs; its rules come after ours and are not touched" });
  }
  const legacy = [...lines("/proc/net/ip_tables_names"), ...lines("/proc/net/ip6_tables_names")].filter(Boolean);
  if (legacy.length > 0) {
    const tables = [...new Set(legacy)].join(", ");
    found.push({
      check,
      level: "warning",
      finding: `iptables-legacy holds rules (${tables}), which nft list ruleset does not show`,
      remedy: "They go on working, after ours. Look at them with iptables-legacy-save before you judge who drops what.",
    });
  }
  if (/^\s*flush ruleset/m.test(lines("/etc/nftables.conf").join("\n"))) {
    found.push({
      check,
      level: "warning",
      finding: "/etc/nftables.conf flushes everybody's rules when it is loaded",
      remedy: `The agent loads its own again within a second. Better: let that file delete only its own tables.`,
    });
  }
  if (!isRoot) return [...found, { check, level: "unseen", finding: "the rules in force", remedy: ROOT }];
  const others = nft(["list", "tables"])
    .split("\n")
    .filter((line) => line !== "" && line !== `table inet ${NAME}`);
  const finding = others.length > 0 ? `${others.length} tables of others, not touched` : "no other table in nftables";
  return [...found, { check, level: "ok", finding }];
}

/** Names of the programs that run, of this network namespace alone if asked for; as far as this user may see them. */
export function processNames({ here = false } = {}): Set<string> {
  const ours = fs.readlinkSync("/proc/self/ns/net");
  const pids = fs
    .readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid) && (!here || (networkOf(pid) ?? ours) === ours));
  return new Set(pids.flatMap((pid) => lines(`/proc/${pid}/comm`).slice(0, 1)));
}

function networkOf(pid: string): string | undefined {
  try {
    return fs.readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    // Another user's, or gone.
    return undefined;
  }
}

/** Merged packets are counted as one: what a lane counts of TCP may be a tenth of what was sent. */
async function offloads({ interfaces }: Patient): Promise<Check[]> {
  const check = "offloads";
  return Promise.all(
    interfaces
      .filter((name) => interfaceNames().includes(name))
      .map(async (name): Promise<Check> => {
        const said = await tool("ethtool", ["-k", name]);
        if (said === undefined)
          return {
            check,
            level: "unseen",
            finding: `${name}: ethtool is not installed`,
            remedy: "Install ethtool to see what the card merges.",
          };
        const on = featuresOn(said);
        if (on.includes("rx-udp-gro-forwarding")) {
          return {
            check,
            level: "warning",
            finding: `${name} merges UDP of one sender before it is counted`,
            remedy: `Rates of UDP read too low. Turn it off: ethtool -K ${name} rx-udp-gro-forwarding off`,
          };
        }
        const merged = ["generic-receive-offload", "rx-gro-hw", "large-receive-offload"].filter((feature) =>
          on.includes(feature),
        );
        return merged.length > 0
          ? {
              check,
              level: "ok",
              finding: `${name} merges TCP (${merged.join(", ")}): its rates read low, those of UDP are exact`,
            }
          : { check, level: "ok", finding: `${name} merges nothing: rates are exact` };
      }),
  );
}
