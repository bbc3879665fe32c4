import * as traffic from "@flowtriq/services/traffic";
import { member, router } from "../trpc.ts";

export const trafficRouter = router({
  series: member.input(traffic.SeriesInput).query(({ ctx, input }) => traffic.series(ctx, input)),
  lanes: member.input(traffic.LanesInput).query(({ ctx, input }) => traffic.lanes(ctx, input)),
});
