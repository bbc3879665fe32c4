import type { Metadata } from "next";
import { NodePage } from "../../../../features/node/NodePage.tsx";
import { viewer } from "../../../../server/page.ts";
import { door, Prefetched, prefetch } from "../../../../server/prefetch.tsx";

export const metadata: Metadata = { title: "Node" };

export default async function Page({ params }: { params: Promise<{ nodeId: string }> }) {
  const [{ nodeId }, { base }] = await Promise.all([params, viewer()]);
  const { node, policy } = door();
  return (
    <Prefetched asked={[prefetch(node.get.queryOptions({ nodeId })), prefetch(policy.get.queryOptions())]}>
      <NodePage base={base} nodeId={nodeId} />
    </Prefetched>
  );
}
