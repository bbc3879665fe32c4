// The Debian packages that the product's demonstration and tests stand on.
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onPath } from "./processes.mjs";
import { Problem, run, step } from "./progress.mjs";
import { findRedis, ROOT } from "./services.mjs";

const RUNTIME = [
  ["nftables", "nft", "the agent's rules"],
  ["iproute2", "ip", "network namespaces of the demonstration"],
  ["iputils-ping", "ping", "probes through the tunnels"],
  ["tcpdump", "tcpdump", "samples where netlink cannot be read directly"],
  ["wireguard-go", "wireguard-go", "the VPN server of the demonstration"],
  ["wireguard-tools", "wg", "its keys and peers"],
  ["openvpn", "openvpn", "the second VPN server of the lab"],
  ["openssl", "openssl", "its certificates"],
  ["redis-server", undefined, "the queue of alerts"],
  ["util-linux", "setpriv", "servers that must not run as root"],
  ["ca-certificates", "/etc/ssl/certs/ca-certificates.crt", "downloads"],
];
const TESTS = [
  ["chromium", "chromium", "the dashboard's tests"],
  ["tshark", "tshark", "a second opinion on capture files"],
  ["charon-systemd", "charon-systemd", "the third VPN server of the lab, strongSwan"],
  ["strongswan-swanctl", "swanctl", "its connections"],
  ["libcharon-extra-plugins", "/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so", "its ESP without the kernel"],
  ["libstrongswan-standard-plugins", "/usr/lib/ipsec/plugins/libstrongswan-openssl.so", "its cryptography"],
  ["prometheus", "promtool", "checks the agent's metrics; the server is not started"],
  ["mandoc", "mandoc", "checks the agent's manual page"],
  ["faketime", "faketime", "sets a test agent's clock back, and no other"],
];
/** Packages that bring a system service along. */
const SERVICES = { "redis-server": "redis-server", "charon-systemd": "strongswan", prometheus: "prometheus" };

const isRoot = () => process.getuid?.() === 0;

function isMissing([name, proof]) {
  if (name === "redis-server") return !process.env.REDIS_URL && !findRedis();
  return proof.startsWith("/") ? !existsSync(proof) : !onPath(proof);
}

/** Names of packages that are not there, for running and, with `tests`, for testing. */
export function missingPackages({ tests = false } = {}) {
  return [...RUNTIME, ...(tests ? TESTS : [])].filter(isMissing);
}

/** Installs what is missing, as far as it may; says beforehand what it does, and what the user has to do. */
export async function systemPackages({ allowed = true, tests = false } = {}) {
  const missing = missingPackages({ tests });
  if (missing.length === 0) return;
  const names = missing.map(([name]) => name);
  const command = `apt-get install --no-install-recommends ${names.join(" ")}`;
  const table = missing.map(([name, , why]) => `    ${name.padEnd(30)} ${why}`).join("\n");
  if (!allowed || !isRoot() || !onPath("apt-get")) {
    console.log(`These Debian packages are missing:\n${table}\n  To have all of it, run as root: ${command}`);
    if (names.includes("redis-server") && allowed && onPath("apt-get") && onPath("dpkg")) await unpackRedis();
    return;
  }
  console.log(`About to install Debian packages (leave it to yourself with --no-system-packages):\n${table}`);
  await step(`Installing ${names.length} Debian packages`, (say) => install(names, say));
  const still = missingPackages({ tests }).map(([name]) => name);
  if (still.length > 0) throw new Problem(`Installed, yet not found on PATH: ${still.join(", ")}. Look at ${LOG}.`);
}

const LOG = join(ROOT, ".local/log/apt.log");
const APT = ["-y", "-q", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"];

async function install(names, say) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" };
  const install = ["install", ...APT, "--no-install-recommends", ...names];
  const release = keepServicesDown();
  try {
    await run("apt-get", install, { env, log: LOG, onLine: say }).catch(async () => {
      // A fresh machine has no package lists, an old one has lists of versions that are gone.
      const advice =
        "Check the network and /etc/apt/sources.list, or install the packages yourself and use --no-system-packages.";
      await run("apt-get", ["update", ...APT], { env, log: `${LOG}.update`, onLine: say, advice });
      await run("apt-get", install, { env, log: LOG, onLine: say, advice });
    });
  } finally {
    release();
  }
  // The product runs daemons of its own; a system service that nobody asked for must not come up at the next boot.
  const services = names.flatMap((name) => SERVICES[name] ?? []);
  if (services.length > 0 && existsSync("/run/systemd/system")) {
    await run("systemctl", ["disable", "--now", ...services]).catch(() => {});
  }
}

/** Debian starts a service when its package is installed, unless this file says no. */
function keepServicesDown() {
  const policy = "/usr/sbin/policy-rc.d";
  if (existsSync(policy)) return () => {};
  writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  return () => rmSync(policy, { force: true });
}

/** Without root: Redis and the libraries it needs beyond libc, unpacked under .local. */
async function unpackRedis() {
  const target = join(ROOT, ".local/debian");
  const debs = join(ROOT, ".local/apt/debs");
  const wanted = [
    "redis-server",
    "redis-tools",
    "libjemalloc2",
    "liblzf1",
    "liblua5.1-0",
    "lua-bitop",
    "lua-cjson",
    "libatomic1",
    "libhiredis0.14",
  ];
  await step("Unpacking Redis under .local (nothing is installed)", async (say) => {
    rmSync(debs, { recursive: true, force: true });
    mkdirSync(debs, { recursive: true });
    const options = { cwd: debs, log: join(ROOT, ".local/log/apt-download.log"), onLine: say };
    await run("apt-get", ["download", ...wanted], options).catch(async () => {
      const own = await ownLists();
      await run("apt-get", [...own, "update"], options);
      await run("apt-get", [...own, "download", ...wanted], {
        ...options,
        advice: "Install redis-server yourself, or set REDIS_URL.",
      });
    });
    for (const deb of readdirSync(debs)) await run("dpkg", ["-x", join(debs, deb), target]);
    rmSync(debs, { recursive: true, force: true });
  });
  const redis = findRedis();
  if (!redis) throw new Problem("The unpacked packages hold no redis-server. Install it yourself, or set REDIS_URL.");
  await run(redis.file, ["--version"], {
    env: { ...process.env, ...redis.env },
    advice: "The unpacked Redis does not run here. Install redis-server yourself, or set REDIS_URL.",
  });
}

/** Package lists of our own, for machines (and container images) that carry none. */
async function ownLists() {
  const state = join(ROOT, ".local/apt");
  for (const folder of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(state, folder), { recursive: true });
  return ["-o", `Dir::State::lists=${state}/lists`, "-o", `Dir::Cache=${state}/cache`, "-o", "Debug::NoLocking=1"];
}
