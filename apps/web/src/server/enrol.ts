import { headers } from "next/headers";
import { currentBrand } from "./brand.ts";
import { ingestOrigin } from "./host.ts";

/** One line to run as root on a concentrator: it keeps the settings, readable by root alone, and starts the agent with them. */
export async function enrolCommand(token: string): Promise<string> {
  const incoming = await headers();
  const { agentName } = await currentBrand();
  const url = ingestOrigin(incoming.get("x-brand-host") ?? "localhost", incoming.get("x-forwarded-proto") ?? "http");
  const settings = JSON.stringify({ service: { url, token } });
  const file = `/etc/${agentName}.json`;
  return `(umask 077; echo '${settings}' > ${file}) && ${agentName} run --config ${file}`;
}
