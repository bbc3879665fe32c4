import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { bunPath } from "../src/flood.ts";
import { createTopology, ip, namespaces, openTopology, run, start, sweep, uniquePrefix } from "../src/namespaces.ts";
import { asRoot } from "./root.ts";

const left = async (prefix: string) => (await namespaces()).filter((name) => name.startsWith(`${prefix}-`));

asRoot("everyone reaches the concentrator over both families, and several labs stand side by side", async () => {
  const labs = await Promise.all([createTopology({ clients: 2 }), createTopology({ clients: 1 })]);
  try {
    for (const { concentrator, attacker, clients } of labs) {
      for (const { namespace } of [attacker, ...clients]) {
        await run(namespace, ["ping", "-c1", "-W1", concentrator.address[4]]);
        await run(namespace, ["ping", "-c1", "-W1", concentrator.address[6]]);
      }
    }
  } finally {
    await Promise.all(labs.map((lab) => lab.destroy()));
  }
  for (const { prefix } of labs) expect(await left(prefix)).toEqual([]);
});

asRoot("taking a lab down ends its processes, and doing it twice is harmless", async () => {
  const lab = await createTopology({ clients: 1 });
  const sleeper = start(lab.concentrator.namespace, ["sleep", "60"], { stdio: "ignore" });
  await once(sleeper, "spawn");
  const ended = once(sleeper, "exit");
  await lab.destroy();
  await lab.destroy();
  expect((await ended)[1]).toBe("SIGKILL");
  expect(await left(lab.prefix)).toEqual([]);
});

asRoot("a lab that stands in another's way is left alone", async () => {
  const lab = await createTopology({ clients: 0 });
  try {
    await expect(createTopology({ prefix: lab.prefix })).rejects.toThrow("standing already");
    await expect(run(lab.attacker.namespace, ["ping", "-c1", lab.concentrator.address[4]])).resolves.toBeDefined();
  } finally {
    await lab.destroy();
  }
});

asRoot("a failure half-way through building leaves nothing behind", async () => {
  const prefix = uniquePrefix();
  // The management link's name is taken, which shows when all namespaces are there.
  await ip([`link add ${prefix}-m type bridge`]);
  await expect(createTopology({ prefix, management: true })).rejects.toThrow();
  expect(await left(prefix)).toEqual([]);
});

asRoot("the management link joins this machine and the concentrator, and goes with the lab", async () => {
  const lab = await createTopology({ clients: 0, management: true });
  try {
    await run(lab.concentrator.namespace, ["ping", "-c1", "-W1", lab.management!.host]);
  } finally {
    await lab.destroy();
  }
  const { stdout } = await run1("ip", ["-br", "link"]);
  expect(stdout).not.toContain(lab.management!.interface);
});

asRoot("what a killed process left is swept away; a living process's lab is not", async () => {
  const base = "swp";
  const mine = await createTopology({ prefix: uniquePrefix(base), clients: 0 });
  const namespacesUrl = new URL("../src/namespaces.ts", import.meta.url).href;
  const script = `import { createTopology, uniquePrefix } from "${namespacesUrl}";
    const lab = await createTopology({ prefix: uniquePrefix("${base}"), clients: 0 });
    console.log(lab.prefix); setInterval(() => {}, 1000);`;
  const other = spawn(bunPath(), ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const prefix = String((await once(other.stdout, "data"))[0]).trim();
    expect(await sweep(base)).toEqual([]);
    other.kill("SIGKILL");
    await once(other, "exit");
    expect(await left(prefix)).toHaveLength(3);
    expect(await sweep(base)).toEqual([prefix]);
    expect(await left(prefix)).toEqual([]);
    expect(await left(mine.prefix)).toHaveLength(3);
  } finally {
    other.kill("SIGKILL");
    await mine.destroy();
  }
});

asRoot("a process ended by a signal takes its lab with it", async () => {
  const namespacesUrl = new URL("../src/namespaces.ts", import.meta.url).href;
  const script = `import { createTopology } from "${namespacesUrl}";
    const lab = await createTopology({ clients: 0 });
    console.log(lab.prefix); setInterval(() => {}, 1000);`;
  const other = spawn(bunPath(), ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const prefix = String((await once(other.stdout, "data"))[0]).trim();
  other.kill("SIGTERM");
  expect((await once(other, "exit"))[0]).toBe(143);
  expect(await left(prefix)).toEqual([]);
});

asRoot("a lab that was kept is found again by its prefix", async () => {
  const lab = await createTopology({ clients: 2, keep: true });
  try {
    const found = await openTopology(lab.prefix);
    expect(found.clients).toEqual(lab.clients);
  } finally {
    await lab.destroy();
  }
  await expect(openTopology(lab.prefix)).rejects.toThrow("no lab called");
});

asRoot("a program that ignores its input and one that fails are told apart", async () => {
  const lab = await createTopology({ clients: 0 });
  try {
    const { namespace } = lab.attacker;
    await run(namespace, ["true"], { input: "x".repeat(1 << 20) });
    await expect(run(namespace, ["false"])).rejects.toThrow("Command failed");
    await expect(run(namespace, ["echo", "$(id); rm"])).resolves.toMatchObject({ stdout: "$(id); rm\n" });
  } finally {
    await lab.destroy();
  }
});

test.each(["", "A", "1x", "a-b", "a;b", "../x", "toolongprefix"])("%j is no prefix", async (prefix) => {
  await expect(createTopology({ prefix })).rejects.toThrow("not a lab prefix");
});

test.each([-1, 1.5, 100, Number.NaN])("%d is no number of clients", async (clients) => {
  await expect(createTopology({ prefix: "never", clients })).rejects.toThrow("clients");
});

async function run1(command: string, argv: string[]): Promise<{ stdout: string }> {
  const child = spawn(command, argv, { stdio: ["ignore", "pipe", "inherit"] });
  let stdout = "";
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  await once(child, "close");
  return { stdout };
}
