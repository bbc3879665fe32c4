import type { Metadata } from "next";
import { IncidentList } from "../../../features/incident/IncidentList.tsx";
import { viewer } from "../../../server/page.ts";

export const metadata: Metadata = { title: "Incidents" };

export default async function Page() {
  const { base } = await viewer();
  return <IncidentList base={base} />;
}
