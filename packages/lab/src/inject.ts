import { fileURLToPath } from "node:url";
import { bunPath } from "./flood.ts";
import { InjectReport, type InjectRequest } from "./inject/request.ts";
import { run } from "./namespaces.ts";

export type { InjectRequest } from "./inject/request.ts";

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
