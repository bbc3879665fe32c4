import * as channel from "@flowtriq/services/channel";
import * as delivery from "@flowtriq/services/delivery";
import { member, pages, router } from "../trpc.ts";

export const channelRouter = router({
  list: member.query(({ ctx }) => channel.list(ctx, {})),
  create: member.input(channel.CreateInput).mutation(({ ctx, input }) => channel.create(ctx, input)),
  test: member.input(channel.ChannelInput).mutation(({ ctx, input }) => channel.test(ctx, input)),
  remove: member.input(channel.ChannelInput).mutation(({ ctx, input }) => channel.remove(ctx, input)),
  deliveries: member
    .input(pages(delivery.ListInput))
    .query(({ ctx, input: { direction: _, ...input } }) => delivery.list(ctx, input)),
});
