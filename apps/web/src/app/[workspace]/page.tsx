import { OverviewPage } from "../../features/overview/OverviewPage.tsx";
import { viewer } from "../../server/page.ts";
import { Prefetched, trpcOf } from "../../server/prefetch.tsx";

export default async function Page() {
  const { base } = await viewer();
  return (
    <Prefetched queries={[trpcOf().overview.get.queryOptions()]}>
      <OverviewPage base={base} />
    </Prefetched>
  );
}
