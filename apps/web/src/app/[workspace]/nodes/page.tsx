import type { Metadata } from "next";
import { NodeList } from "../../../features/node/NodeList.tsx";
import { viewer } from "../../../server/page.ts";
import { door, Prefetched, prefetch } from "../../../server/prefetch.tsx";

export const metadata: Metadata = { title: "Nodes" };

export default async function Page() {
  const { base, may } = await viewer();
  return (
    <Prefetched
      asked={[prefetch(door().node.list.queryOptions({ limit: 1000 })), prefetch(door().policy.get.queryOptions())]}
    >
      <NodeList base={base} mayEnrol={may("admin")} />
    </Prefetched>
  );
}
