import type { Metadata } from "next";
import { NodePage } from "../../../../features/node/NodePage.tsx";
import { viewer } from "../../../../server/page.ts";
import { Prefetched, trpcOf } from "../../../../server/prefetch.tsx";

export const metadata: Metadata = { title: "Node" };

export default async function Page({ params }: { params: Promise<{ nodeId: string }> }) {
  const [{ nodeId }, { base }] = await Promise.all([params, viewer()]);
  const { node, policy } = trpcOf();
  return (
    <Prefetched queries={[node.get.queryOptions({ nodeId }), policy.get.queryOptions()]}>
      <NodePage base={base} nodeId={nodeId} />
    </Prefetched>
  );
}
