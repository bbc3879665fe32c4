import * as live from "@flowtriq/services/live";
import { member, router } from "../trpc.ts";

export const liveRouter = router({
  ticket: member.mutation(({ ctx }) => live.ticket(ctx)),
});
