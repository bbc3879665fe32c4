import { OverviewPage } from "../../features/overview/OverviewPage.tsx";
import { WINDOW_SECONDS } from "../../features/overview/window.ts";
import { viewer } from "../../server/page.ts";
import { door, Prefetched, prefetch } from "../../server/prefetch.tsx";

export default async function Page() {
  const { base } = await viewer();
  const { overview, node, traffic } = door();
  return (
    <Prefetched
      asked={[
        prefetch(overview.get.queryOptions()),
        prefetch(node.list.queryOptions({ limit: 1000 })),
        prefetch(traffic.series.queryOptions({ seconds: WINDOW_SECONDS })),
      ]}
    >
      <OverviewPage base={base} />
    </Prefetched>
  );
}
