import * as incident from "@flowtriq/services/incident";
import { member, pages, router } from "../trpc.ts";

export const incidentRouter = router({
  list: member
    .input(pages(incident.ListInput))
    .query(({ ctx, input: { direction: _, ...input } }) => incident.list(ctx, input)),
  get: member.input(incident.IncidentInput).query(({ ctx, input }) => incident.get(ctx, input)),
  series: member.input(incident.SeriesInput).query(({ ctx, input }) => incident.series(ctx, input)),
  acknowledge: member.input(incident.IncidentInput).mutation(({ ctx, input }) => incident.acknowledge(ctx, input)),
  note: member.input(incident.NoteInput).mutation(({ ctx, input }) => incident.note(ctx, input)),
});
