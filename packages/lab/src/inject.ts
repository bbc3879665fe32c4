import { fileURLToPath } from "node:url";
import { bunPath, type Flood, startSender } from "./flood.ts";
import { InjectedFloodOptions, type InjectedFloodRequest, InjectReport, type InjectRequest } from "./inject/request.ts";
import { run, type Topology } from "./namespaces.ts";

export type { InjectedFloodOptions, InjectRequest } from "./inject/request.ts";

/**
 * Has an interface of a namespace receive so many packets, one after the other on one processor, and resolves with what each cost the
 * kernel in nanoseconds, making it included. Needs root and Linux 5.18.
 */
export async function inject(
  namespace: string,
  { frame, ...request }: Omit<InjectRequest, "frame"> & { frame: Uint8Array },
): Promise<number> {
  const main = fileURLToPath(new URL("./inject/main.ts", import.meta.url));
  const whole: InjectRequest = { ...request, frame: Buffer.from(frame).toString("base64") };
  const { stdout } = await run(namespace, [bunPath(), main, JSON.stringify(whole)]);
  return InjectReport.parse(JSON.parse(stdout)).nsPerPacket;
}

/**
 * A flood as the concentrator's interface would receive it, made there: it costs nothing but what receiving it costs, so that one
 * processor bears some 800,000 packets a second. IPv4, from random sources; TCP's checksums are wrong. Needs root and Linux 5.18.
 */
export async function injectFlood(lab: Topology, options: InjectedFloodOptions): Promise<Flood> {
  const request: InjectedFloodRequest = {
    ...InjectedFloodOptions.parse(options),
    ...{ interface: "eth0", family: 4, destination: lab.concentrator.address[4] },
    ...{ sourceMac: lab.floodMac, destinationMac: lab.concentrator.mac },
  };
  const main = fileURLToPath(new URL("./inject/flood.ts", import.meta.url));
  return (await startSender(lab.concentrator.namespace, main, request)).begin();
}
