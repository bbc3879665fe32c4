import * as overview from "@flowtriq/services/overview";
import { member, router } from "../trpc.ts";

export const overviewRouter = router({
  get: member.query(({ ctx }) => overview.get(ctx)),
});
