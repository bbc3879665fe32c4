import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { bunPath } from "./flood.ts";
import { type Host, start } from "./namespaces.ts";

export interface BulkOptions {
  from: Host;
  to: Host;
  /** The receiver's address inside the tunnel. */
  address: string;
  seconds: number;
  port?: number;
}

/** Pours TCP through a tunnel, so that it carries full-size packets. Resolves with what arrived. */
export async function bulk({
  from,
  to,
  address,
  seconds,
  port = 5201,
}: BulkOptions): Promise<{ bytes: number; bps: number }> {
  const main = fileURLToPath(new URL("./bulk/main.ts", import.meta.url));
  const launch = (host: Host, ...argv: string[]) => {
    const child = start(host.namespace, [bunPath(), main, ...argv], { stdio: ["pipe", "pipe", "inherit"] });
    child.stdin?.on("error", () => {});
    return child;
  };
  const receiver = launch(to, "receive", address, `${port}`);
  let sender: ReturnType<typeof launch> | undefined;
  try {
    const bytes = await new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the bulk transfer did not end")), seconds * 1000 + 20_000);
      receiver.on("close", (code) => {
        clearTimeout(timer);
        reject(new Error(`the receiver ended with ${code}`));
      });
      createInterface({ input: receiver.stdout! }).on("line", (line) => {
        const report = JSON.parse(line) as { event: string; bytes: number };
        if (report.event === "done") resolve(report.bytes);
        if (report.event !== "ready") return;
        sender = launch(from, "send", address, `${port}`, `${seconds}`);
        sender.on("close", (code) => {
          if (code) reject(new Error(`the sender ended with ${code}`));
        });
      });
    });
    return { bytes, bps: (bytes * 8) / seconds };
  } finally {
    receiver.stdin?.end();
    sender?.stdin?.end();
  }
}
