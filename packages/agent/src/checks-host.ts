import fs from "node:fs";
import path from "node:path";
import { processNames } from "./checks-kernel.ts";
import type { Check, Patient } from "./doctor.ts";
import { tool } from "./system.ts";
import { Tunnels } from "./tunnels.ts";
import { NAME } from "./usage.ts";
import { publicKeys, wireguardInterfaces } from "./vpn/wireguard.ts";

/** The host's side: who serves VPN here, and what the agent stands on. */
export const hostChecks = { agent, ports, daemons, mac1, clock, disk, service, lease, metrics };

function agent({ running }: Patient): Check[] {
  const check = "agent";
  if (!running)
    return [
      {
        check,
        level: "warning",
        finding: "does not run, or this user may not ask it",
        remedy: `Start it with: ${NAME} run`,
      },
    ];
  if (running.standingDown)
    return [
      {
        check,
        level: "warning",
        finding: "stands down since everything was withdrawn",
        remedy: "Start it anew to protect this host.",
      },
    ];
  const finding = `${running.version} runs, mode ${running.mode}, ${running.attacks.length} attacks`;
  return running.mode === "enforce"
    ? [{ check, level: "ok", finding }]
    : [{ check, level: "ok", finding: `${finding}: it drops nothing by itself` }];
}

function ports({ ports: known }: Patient): Check[] {
  const check = "VPN ports";
  return known.length > 0
    ? [
        {
          check,
          level: "ok",
          finding: known.map(({ port, transport, protocol }) => `${port}/${transport} ${protocol}`).join(", "),
        },
      ]
    : [
        {
          check,
          level: "warning",
          finding: "none found",
          remedy: 'Start the VPN server first, or declare "ports" in the configuration.',
        },
      ];
}

/** Programs that serve VPN, by the name of their process. */
const DAEMONS: Record<string, string> = {
  openvpn: "OpenVPN",
  charon: "strongSwan",
  "charon-systemd": "strongSwan",
  pluto: "Libreswan",
  vpnserver: "SoftEther",
  xl2tpd: "L2TP",
  ocserv: "OpenConnect",
  "accel-pppd": "accel-ppp",
};

async function daemons({ config, ports: known }: Patient): Promise<Check[]> {
  const check = "VPN daemons";
  const wireguard = await wireguardInterfaces();
  const others = [...new Set([...processNames({ here: true })].flatMap((name) => DAEMONS[name] ?? []))];
  const asked = new Tunnels({ vpn: config.vpn, ports: known, onTrouble: () => {} });
  const tunnels = await asked.count(Date.now() / 1000);
  asked.close();
  const found: Check[] = [];
  if (wireguard.length > 0) {
    const peers = wireguard.reduce((sum, one) => sum + one.peers.length, 0);
    const names = wireguard.map(({ name }) => name).join(", ");
    found.push({ check, level: "ok", finding: `WireGuard ${names}: peers ${peers}` });
  } else if (fs.existsSync("/sys/module/wireguard") && (await tool("wg", ["--version"])) === undefined) {
    found.push({
      check,
      level: "warning",
      finding: "WireGuard is loaded, but wg is not installed: its tunnels cannot be counted",
      remedy: "Install wireguard-tools.",
    });
  }
  if (others.length > 0) {
    found.push({ check, level: "ok", finding: `${others.join(", ")} ${others.length > 1 ? "run" : "runs"}` });
  }
  if (found.length > 0 && tunnels !== null) {
    found.push({ check, level: "ok", finding: `tunnels up: ${tunnels}` });
  } else if (found.length > 0) {
    found.push({
      check,
      level: "warning",
      finding: "tunnels cannot be counted: one of the daemons does not tell",
      remedy: 'Run this as root, or name its status file or socket under "vpn" in the configuration.',
    });
  }
  if (found.length === 0)
    found.push({
      check,
      level: "warning",
      finding: "none found running",
      remedy: "Nothing to do if this host only forwards. Otherwise run this again with the VPN server up, as root.",
    });
  return found;
}

async function mac1({ ports: known, config }: Patient): Promise<Check[]> {
  const wireguard = known.filter(({ protocol }) => protocol === "wireguard");
  const check = "mac1 keys";
  if (wireguard.length === 0) return [{ check, level: "ok", finding: "no WireGuard port, none needed" }];
  const keys = new Set([...(await publicKeys()).keys(), ...Object.keys(config.wireguardPublicKeys).map(Number)]);
  const missing = wireguard.filter(({ port }) => !keys.has(port)).map(({ port }) => port);
  return missing.length === 0
    ? [{ check, level: "ok", finding: `known for ${wireguard.map(({ port }) => port).join(", ")}` }]
    : [
        {
          check,
          level: "warning",
          finding: `the server's public key is not known for ${missing.join(", ")}: junk handshakes are told by less`,
          remedy: 'Run as root so that wg can be asked, or set "wireguardPublicKeys".',
        },
      ];
}

async function clock(): Promise<Check[]> {
  const check = "clock";
  const said = await tool("timedatectl", ["show", "-p", "NTPSynchronized", "--value"]);
  const keeper = ["chronyd", "ntpd", "ntpd-rs", "openntpd", "systemd-timesyn"].find((name) => processNames().has(name));
  if (said?.trim() === "yes" || keeper)
    return [{ check, level: "ok", finding: keeper ? `kept by ${keeper}` : "synchronised" }];
  const remedy = "Let chrony or systemd-timesyncd keep it: events carry this clock's time.";
  return said?.trim() === "no"
    ? [{ check, level: "warning", finding: "not synchronised", remedy }]
    : [{ check, level: "unseen", finding: "nothing here says whether it is kept", remedy }];
}

const ENOUGH_BYTES = 50 << 20;
const TOO_LITTLE_BYTES = 1 << 20;

function disk({ config }: Patient): Check[] {
  const check = "state folder";
  let folder = path.resolve(config.stateDir);
  while (!fs.existsSync(folder)) folder = path.dirname(folder);
  const { bavail, bsize } = fs.statfsSync(folder);
  const bytes = bavail * bsize;
  const finding = `${config.stateDir}: ${Math.round(bytes / (1 << 20))} MiB free`;
  const remedy = "Make room: events wait there while the service is away.";
  if (bytes < TOO_LITTLE_BYTES) return [{ check, level: "problem", finding, remedy }];
  return [bytes < ENOUGH_BYTES ? { check, level: "warning", finding, remedy } : { check, level: "ok", finding }];
}

const SERVICE_MS = 5_000;
const SKEW_SECONDS = 30;

async function service({ config, running }: Patient): Promise<Check[]> {
  const check = "service";
  const url = config.service?.url ?? running?.service?.url ?? enrolledWith(config.stateDir);
  if (!url) return [{ check, level: "ok", finding: "none: stand-alone, events go to a file or standard output" }];
  const found: Check[] = [];
  try {
    const response = await fetch(url, { method: "HEAD", redirect: "manual", signal: AbortSignal.timeout(SERVICE_MS) });
    found.push({ check, level: "ok", finding: `${url} answers` });
    const skew = (Date.parse(response.headers.get("date") ?? "") - Date.now()) / 1000;
    if (Math.abs(skew) > SKEW_SECONDS) {
      found.push({
        check,
        level: "warning",
        finding: `its clock and ours are ${Math.round(Math.abs(skew))} s apart`,
        remedy: "Set this host's clock.",
      });
    }
  } catch (error) {
    const finding = `${url} cannot be reached: ${(error as Error).message}`;
    found.push({
      check,
      level: "warning",
      finding,
      remedy: "Check the address, DNS and the firewall. Protection goes on without it.",
    });
  }
  if (running?.service && !running.service.connected) {
    const finding = `the agent's reports do not get through: ${running.service.trouble ?? "none was sent yet"}`;
    found.push({
      check,
      level: "warning",
      finding,
      remedy: `${running.spoolEvents ?? 0} events wait on disk. If it was refused, enrol anew.`,
    });
  }
  return found;
}

/** Which service `enroll` was run for; undefined also when this user may not read it. */
function enrolledWith(stateDir: string): string | undefined {
  try {
    const { url } = JSON.parse(fs.readFileSync(`${stateDir}/service.json`, "utf8")) as { url?: unknown };
    return typeof url === "string" ? url : undefined;
  } catch {
    return undefined;
  }
}

function lease({ config, running }: Patient): Check[] {
  const check = "lease";
  const seconds = config.policy.leaseSeconds ?? 45;
  const held = running ? "" : "; without an agent nothing renews what may be left";
  return [{ check, level: "ok", finding: `${seconds} s: so long the kernel goes on without the agent${held}` }];
}

function metrics({ config }: Patient): Check[] {
  const check = "metrics";
  if (!config.metrics) return [{ check, level: "ok", finding: "not served" }];
  const { address, port } = config.metrics;
  const finding = `http://${address.includes(":") ? `[${address}]` : address}:${port}/metrics`;
  return /^127\.|^::1$/.test(address)
    ? [{ check, level: "ok", finding }]
    : [
        {
          check,
          level: "warning",
          finding: `${finding} can be read from other hosts`,
          remedy: "Anybody who reaches it sees rates and attacks. Prefer 127.0.0.1.",
        },
      ];
}
