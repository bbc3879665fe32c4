import { run, type Topology } from "./namespaces.ts";

/** Numbers of the played packets that reached the concentrator, and of those that are left behind all its ingress rules. */
export interface Verdicts {
  arrived: Set<number>;
  passed: Set<number>;
}

const TABLE = "lab_verdicts";
/** More than are ever played at once. */
const SIZE = 262_144;

/**
 * Tells of each single packet that `play` sends whether the host's ingress rules let it pass, by the number in its Ethernet source.
 * A table of the lab's own, before and behind all others at the ingress hook: what the agent claims is checked by something else.
 */
export async function startVerdicts(lab: Topology) {
  const { namespace } = lab.concentrator;
  const note = (name: string, priority: number) =>
    `chain ${name}_chain { type filter hook ingress device "eth0" priority ${priority}; ` +
    `ether saddr & ff:ff:00:00:00:00 == 06:00:00:00:00:00 update @${name} { ether saddr };}`;
  const set = (name: string) => `set ${name} { type ether_addr; size ${SIZE}; flags dynamic; }`;
  await run(namespace, ["nft", "-f", "-"], {
    input: [
      `table inet ${TABLE} {`,
      set("arrived"),
      set("passed"),
      note("arrived", -900),
      note("passed", 900),
      "}",
    ].join("\n"),
  });
  const list = async (name: string): Promise<Set<number>> => {
    const { stdout } = await run(namespace, ["nft", "-j", "list", "set", "inet", TABLE, name]);
    const { nftables } = JSON.parse(stdout) as { nftables: { set?: { elem?: string[] } }[] };
    const macs = nftables.flatMap((entry) => entry.set?.elem ?? []);
    return new Set(macs.map((mac) => Number.parseInt(mac.replaceAll(":", "").slice(4), 16)));
  };
  return {
    async read(): Promise<Verdicts> {
      return { arrived: await list("arrived"), passed: await list("passed") };
    },
    /** Forgets what was played until now. */
    async reset(): Promise<void> {
      await run(namespace, ["nft", `flush set inet ${TABLE} arrived; flush set inet ${TABLE} passed`]);
    },
  };
}
