import { channelRouter } from "./routers/channel.ts";
import { incidentRouter } from "./routers/incident.ts";
import { liveRouter } from "./routers/live.ts";
import { nodeRouter } from "./routers/node.ts";
import { overviewRouter } from "./routers/overview.ts";
import { policyRouter } from "./routers/policy.ts";
import { trafficRouter } from "./routers/traffic.ts";
import { router } from "./trpc.ts";

/** The dashboard's door: nouns and their verbs. */
export const appRouter = router({
  channel: channelRouter,
  incident: incidentRouter,
  live: liveRouter,
  node: nodeRouter,
  overview: overviewRouter,
  policy: policyRouter,
  traffic: trafficRouter,
});
export type AppRouter = typeof appRouter;
