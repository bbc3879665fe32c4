import * as node from "@flowtriq/services/node";
import { enrolCommand } from "../enrol.ts";
import { member, router } from "../trpc.ts";

export const nodeRouter = router({
  list: member.input(node.ListInput).query(({ ctx, input }) => node.list(ctx, input)),
  get: member.input(node.NodeInput).query(({ ctx, input }) => node.get(ctx, input)),
  createEnrolmentToken: member.input(node.CreateEnrolmentTokenInput).mutation(async ({ ctx, input }) => {
    const { token, expiresAt } = await node.createEnrolmentToken(ctx, input);
    return { command: await enrolCommand(token), expiresAt };
  }),
});
