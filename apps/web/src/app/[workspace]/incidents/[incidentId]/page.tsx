import type { Metadata } from "next";
import { IncidentPage } from "../../../../features/incident/IncidentPage.tsx";
import { viewer } from "../../../../server/page.ts";
import { door, Prefetched, prefetch } from "../../../../server/prefetch.tsx";

export const metadata: Metadata = { title: "Incident" };

export default async function Page({ params }: { params: Promise<{ incidentId: string }> }) {
  const [{ incidentId }, { base, may }] = await Promise.all([params, viewer()]);
  const { incident, node } = door();
  return (
    <Prefetched
      asked={[
        prefetch(incident.get.queryOptions({ incidentId })),
        prefetch(incident.series.queryOptions({ incidentId })),
        prefetch(node.list.queryOptions({ limit: 1000 })),
      ]}
    >
      <IncidentPage base={base} incidentId={incidentId} mayAct={may("operator")} />
    </Prefetched>
  );
}
