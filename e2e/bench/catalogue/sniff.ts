import { startCrowd } from "@flowtriq/lab/crowd";
import type { Topology } from "@flowtriq/lab/namespaces";
import { sniff } from "@flowtriq/lab/sniff";
import type { Wireguard } from "@flowtriq/lab/wireguard";

/** Genuine clients whose handshakes are recorded. */
const RECORDED = 16;

/** A packet of a client's session over IPv4, as it is seen on the client's wire. It must be sending. */
export async function sniffSession({ clients }: Topology, { port }: Wireguard): Promise<string[]> {
  const seen = await sniff(clients[0]!, { port, packets: 1, which: ([type]) => type === 4 });
  return seen.map(({ payload }) => payload);
}

/** Handshakes that the server has just finished, and whoever made them. */
export async function sniffHandshakes(lab: Topology, wireguard: Wireguard) {
  const crowd = await startCrowd(lab, wireguard, lab.clients[0]!, { clients: RECORDED });
  await crowd.connect();
  return { recorded: await crowd.initiations(), stop: () => crowd.stop() };
}
