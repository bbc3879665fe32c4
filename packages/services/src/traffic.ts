import { metrics, type Series } from "@flowtriq/metrics/store";
import type { LaneSecond } from "@flowtriq/protocol/observation";
import { z } from "zod";
import type { Context } from "./context.ts";
import { authorize, parse } from "./verb.ts";

const Node = z.string().max(64);

export const SeriesInput = z.strictObject({
  /** Absent: all nodes of the workspace, added up. */
  nodeId: Node.optional(),
  /** How far back from now. */
  seconds: z
    .number()
    .int()
    .min(60)
    .max(30 * 86_400)
    .default(900),
  maxPoints: z.number().int().min(10).max(5000).default(3600),
});

/** Traffic until now. A node of another workspace has none. */
export async function series(ctx: Context, input: z.input<typeof SeriesInput>): Promise<Series> {
  authorize("viewer", ctx);
  const { nodeId, seconds, maxPoints } = parse(SeriesInput, input);
  const from = new Date(ctx.now.getTime() - seconds * 1000);
  return metrics.series({
    workspaceId: ctx.workspaceId,
    nodeIds: nodeId === undefined ? undefined : [nodeId],
    from,
    to: ctx.now,
    maxPoints,
  });
}

export const LanesInput = z.strictObject({ nodeId: Node });

/** The lanes with traffic in the newest second of a node that is at most a minute old; empty when it is silent. */
export async function lanes(
  ctx: Context,
  input: z.input<typeof LanesInput>,
): Promise<{ at: Date | null; lanes: LaneSecond[] }> {
  authorize("viewer", ctx);
  const { nodeId } = parse(LanesInput, input);
  const [latest] = await metrics.latest({ workspaceId: ctx.workspaceId, nodeIds: [nodeId], now: ctx.now });
  return { at: latest?.at ?? null, lanes: latest?.lanes ?? [] };
}
