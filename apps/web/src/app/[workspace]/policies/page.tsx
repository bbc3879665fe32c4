import type { Metadata } from "next";
import { PolicyPage } from "../../../features/policy/PolicyPage.tsx";
import { viewer } from "../../../server/page.ts";
import { door, Prefetched, prefetch } from "../../../server/prefetch.tsx";

export const metadata: Metadata = { title: "Policies" };

export default async function Page() {
  const { base, may } = await viewer();
  return (
    <Prefetched
      asked={[prefetch(door().policy.get.queryOptions()), prefetch(door().node.list.queryOptions({ limit: 1000 }))]}
    >
      <PolicyPage base={base} mayChange={may("admin")} />
    </Prefetched>
  );
}
