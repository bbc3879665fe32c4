import type { Metadata } from "next";
import { AlertsPage } from "../../../features/alert/AlertsPage.tsx";
import { viewer } from "../../../server/page.ts";
import { door, Prefetched, prefetch } from "../../../server/prefetch.tsx";

export const metadata: Metadata = { title: "Alerts" };

export default async function Page() {
  const { base, may } = await viewer();
  return (
    <Prefetched asked={[prefetch(door().channel.list.queryOptions())]}>
      <AlertsPage base={base} mayChange={may("admin")} mayTest={may("operator")} />
    </Prefetched>
  );
}
