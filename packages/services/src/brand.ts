import { withSystem } from "@flowtriq/db/client";
import { brand, domain } from "@flowtriq/db/schema/brand";
import { DEFAULT_BRAND } from "@flowtriq/protocol/brand";
import { eq } from "drizzle-orm";
import { brandIdByHost } from "./lookup.ts";

export type Brand = {
  id: string;
  /** Null: the default brand. */
  workspaceId: string | null;
  name: string;
  agentName: string;
  supportEmail: string;
  logoUrl: string | null;
  tokens: Record<string, unknown>;
};

const DEFAULT_ID = "brd_default";

/** The brand of a host (a port after it is ignored); undefined for a host that nobody has verified. */
export async function byHost(host: string): Promise<Brand | undefined> {
  const id = await brandIdByHost(host.replace(/:\d+$/, ""));
  return id ? byId(id) : undefined;
}

/** The brand of what is sent, not visited: alerts, mails. */
export async function byId(id: string | null): Promise<Brand | undefined> {
  const { workspaceId, name, agentName, supportEmail, logoUrl, tokens } = brand;
  const [found] = await withSystem((tx) =>
    tx
      .select({ id: brand.id, workspaceId, name, agentName, supportEmail, logoUrl, tokens })
      .from(brand)
      .where(eq(brand.id, id ?? DEFAULT_ID)),
  );
  return found;
}

/** Makes the default brand if it is missing, and gives it these hosts. */
export async function ensureDefault(hosts: readonly string[], now = new Date()): Promise<void> {
  await withSystem(async (tx) => {
    await tx
      .insert(brand)
      .values({ id: DEFAULT_ID, workspaceId: null, ...DEFAULT_BRAND, createdAt: now })
      .onConflictDoNothing();
    for (const host of hosts) {
      const verified = { brandId: DEFAULT_ID, status: "verified" as const, verifiedAt: now };
      await tx
        .insert(domain)
        .values({ host: host.toLowerCase(), workspaceId: null, ...verified })
        .onConflictDoNothing();
    }
  });
}
