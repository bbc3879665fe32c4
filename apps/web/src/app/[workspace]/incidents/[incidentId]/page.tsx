import type { Metadata } from "next";
import { IncidentPage } from "../../../../features/incident/IncidentPage.tsx";
import { viewer } from "../../../../server/page.ts";
import { Prefetched, trpcOf } from "../../../../server/prefetch.tsx";

export const metadata: Metadata = { title: "Incident" };

export default async function Page({ params }: { params: Promise<{ incidentId: string }> }) {
  const [{ incidentId }, { base, may }] = await Promise.all([params, viewer()]);
  const { incident, node } = trpcOf();
  return (
    <Prefetched
      queries={[
        incident.get.queryOptions({ incidentId }),
        incident.series.queryOptions({ incidentId }),
        node.list.queryOptions({ limit: 1000 }),
      ]}
    >
      <IncidentPage base={base} incidentId={incidentId} mayAct={may("operator")} />
    </Prefetched>
  );
}
