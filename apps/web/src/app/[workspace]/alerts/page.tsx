import type { Metadata } from "next";
import { AlertsPage } from "../../../features/alert/AlertsPage.tsx";
import { viewer } from "../../../server/page.ts";
import { Prefetched, trpcOf } from "../../../server/prefetch.tsx";

export const metadata: Metadata = { title: "Alerts" };

export default async function Page() {
  const { base, may } = await viewer();
  return (
    <Prefetched queries={[trpcOf().channel.list.queryOptions(), trpcOf().channel.deliveries.queryOptions({})]}>
      <AlertsPage base={base} mayChange={may("admin")} />
    </Prefetched>
  );
}
