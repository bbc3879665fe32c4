import * as policy from "@flowtriq/services/policy";
import { member, router } from "../trpc.ts";

export const policyRouter = router({
  get: member.query(({ ctx }) => policy.get(ctx, {})),
  update: member.input(policy.UpdateInput).mutation(({ ctx, input }) => policy.update(ctx, input)),
});
