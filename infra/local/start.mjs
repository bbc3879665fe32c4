// `npm start`: the whole product on this machine, and a live attack on a VPN server of its own.
import { spawn } from "node:child_process";
import { join, resolve } from "node:path";
import { readEnvironment } from "./dotenv.mjs";
import { onPath } from "./processes.mjs";
import { main, Problem, seconds, step } from "./progress.mjs";
import { ROOT } from "./services.mjs";
import { setup } from "./setup.mjs";
import { PORTS, startStack } from "./stack.mjs";

const FLAGS = {
  "--dev": "serve from the sources and reload when they change",
  "--no-demo": "start the service alone, without the demonstration",
  "--no-system-packages": "install no Debian packages",
};

const leave = whenAskedToLeave();
await main(() => start().finally(leave.done));

async function start() {
  const flags = new Set(process.argv.slice(2));
  const unknown = [...flags].filter((flag) => !(flag in FLAGS));
  if (unknown.length > 0) {
    const known = Object.entries(FLAGS).map(([flag, why]) => `  ${flag.padEnd(22)} ${why}`);
    throw new Problem(`Unknown: ${unknown.join(" ")}. Known:\n${known.join("\n")}`);
  }
  const began = performance.now();
  const dev = flags.has("--dev");
  const demo = !flags.has("--no-demo");
  const env = Object.assign(process.env, readEnvironment(join(ROOT, ".env")));

  try {
    await setup({ systemPackages: !flags.has("--no-system-packages"), builds: dev ? ["agent"] : undefined });
  } catch (error) {
    if (!leave.asked) throw error; // Ctrl-C ended the step, not a fault
  }
  if (leave.asked) return 130;
  const dir = resolve(ROOT, env.DATA_DIR || ".local/data");
  const ports = Object.fromEntries(
    Object.entries(PORTS).map(([name, port]) => [name, portOf(env, `${name.toUpperCase()}_PORT`, port)]),
  );
  const stack = await step("Starting the service", (say) => startStack({ dir, ports, env, dev, demo, log: say }));
  const stopped = [() => stack.stop()];
  try {
    console.log(`\n  ${stack.webUrl}    (after ${seconds(began)})`);
    if (stack.demo) console.log(`  sign in as ${stack.demo.email} with the password ${stack.demo.password}`);
    console.log("  Ctrl-C ends it and everything it started.\n");

    const demonstration = demo && !leave.asked ? startDemonstration(stack, dir, env.DEMO_LAB || "demo") : undefined;
    if (demonstration) stopped.unshift(demonstration.stop);
    const why = await Promise.race([leave.when, stack.broken, ...(demonstration ? [demonstration.failed] : [])]);
    if (leave.asked) return 0;
    throw new Problem(why);
  } finally {
    await step("Stopping", async () => {
      for (const stop of stopped) await stop();
    });
  }
}

/** The demonstration cleans up after itself when it is told to end, and is told so by the kernel should this process die. */
function startDemonstration(stack, dir, lab) {
  const { ingestUrl, databaseUrl, receiver, demo } = stack;
  const settings = { ingestUrl, databaseUrl, receiver, ...demo, lab, dir: join(dir, "demo", demo.workspaceId) };
  const setpriv = onPath("setpriv");
  const command = [process.execPath, "--import", "tsx", "demo.ts"];
  const argv = setpriv ? [setpriv, "--pdeathsig=TERM", ...command] : command;
  const child = spawn(argv[0], argv.slice(1), {
    cwd: join(ROOT, "infra/local"),
    detached: true, // Ctrl-C reaches it through us, before the service goes away
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, DEMO_SETTINGS: JSON.stringify(settings) },
  });
  const ended = new Promise((done) => {
    child.once("error", (error) => done(`The demonstration could not start: ${error.message}`));
    child.once("exit", (code, signal) =>
      done(code === 0 ? undefined : `The demonstration ended with ${signal ?? code}.`),
    );
  });
  return {
    // The service goes on after a demonstration that had nothing more to do.
    failed: ended.then((why) => why ?? new Promise(() => {})),
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/**
 * Ctrl-C, an ordinary kill and a closed terminal all mean: end in order. One more after a moment means: now (npm may pass on
 * the first one a second time).
 */
function whenAskedToLeave() {
  const leave = { asked: false, when: undefined, done: undefined };
  leave.when = new Promise((done) => {
    let askedAt = 0;
    const ask = () => {
      if (leave.asked && Date.now() - askedAt > 1000) process.exit(130);
      if (leave.asked) return;
      leave.asked = true;
      askedAt = Date.now();
      done();
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, ask);
    // npm passes SIGTERM to its shell alone, which ends and leaves us behind. The timer also keeps this process alive.
    const parent = process.env.npm_lifecycle_event ? process.ppid : undefined;
    const watch = setInterval(() => {
      if (parent !== undefined && process.ppid !== parent && !leave.asked) ask();
    }, 500);
    leave.done = () => clearInterval(watch);
  });
  return leave;
}

function portOf(env, name, otherwise) {
  if (!env[name]) return otherwise;
  const port = Number(env[name]);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new Problem(`${name} is not a port: ${env[name]}`);
  return port;
}
