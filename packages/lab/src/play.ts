import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { backlogDrained } from "./backlog.ts";
import { bunPath } from "./flood.ts";
import { ip, start, type Topology } from "./namespaces.ts";
import { type Played, PlayReport, type PlayRequest, toScript } from "./play/script.ts";

export { MAX_PLAYED, type Played, type PlayReport } from "./play/script.ts";

/**
 * Plays packets at the concentrator as if it were the host of a capture: arriving ones come over the wire, its own leave through
 * its output hook, in order. It needs none of the addresses and answers nothing itself. Resolves when the kernel has processed
 * them all. Call `readyForCaptures` once before.
 */
export async function play(lab: Topology, packets: readonly Played[]): Promise<PlayReport> {
  const dir = mkdtempSync(join(tmpdir(), "play-"));
  try {
    const file = join(dir, "script");
    writeFileSync(file, toScript(packets));
    const request: PlayRequest = {
      file,
      concentrator: lab.concentrator.namespace,
      destinationMac: lab.concentrator.mac,
    };
    const main = fileURLToPath(new URL("./play/main.ts", import.meta.url));
    const child = start(lab.attacker.namespace, [bunPath(), main, JSON.stringify(request)], { stdio: "pipe" });
    child.stdin?.on("error", () => {});
    let [said, problem] = ["", ""];
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      problem = (problem + text).slice(-2000);
    });
    await new Promise<void>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code, signal) => {
        if (code === 0 && said !== "") resolve();
        else reject(new Error(`the player ended with ${code ?? signal}: ${problem.trim()}`));
      });
    });
    await backlogDrained();
    return PlayReport.parse(JSON.parse(said));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Lets through what captures hold: packets that a network card had put together, and thousands of Ethernet sources. */
export async function readyForCaptures(lab: Topology): Promise<void> {
  const mtu = (name: string) => `link set ${name} mtu 65535`;
  await ip(["p-atk", "p-srv", "br0"].map(mtu), lab.internet);
  await ip(["link set p-atk type bridge_slave learning off"], lab.internet);
  await ip([mtu("eth0")], lab.attacker.namespace);
  await ip([mtu("eth0")], lab.concentrator.namespace);
}
