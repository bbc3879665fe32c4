import { type Deliverer, fanOut } from "@flowtriq/services/alert/deliver";
import { type JobName, type JobPayload, jobs } from "@flowtriq/services/jobs";
import type { OneJob, Result } from "./queue.ts";

export interface Tools {
  deliverer: Deliverer;
}

interface About {
  id: string;
  workspaceId: string;
  storedAt: Date;
}

type Handler<N extends JobName> = (payload: JobPayload<N>, about: About, tools: Tools) => Promise<Result>;

/** A job may run twice: the second run changes nothing. */
export const handlers: { [N in JobName]: Handler<N> } = {
  "alert.deliver": async (payload, { workspaceId, storedAt }) => {
    await fanOut(workspaceId, payload, storedAt);
    return { again: false };
  },
  "alert.send": (payload, { workspaceId }, { deliverer }) => deliverer.deliver(workspaceId, payload),
  "channel.test": ({ channelId }, { workspaceId, id }, { deliverer }) => deliverer.test(workspaceId, channelId, id),
};

/** Throws for a name or payload that this version does not know: a newer one may be about to replace it. */
export function handle(job: OneJob, tools: Tools): Promise<Result> {
  if (!isJobName(job.name)) throw new Error(`no handler for ${job.name}`);
  return run(job.name, job, tools);
}

function run<N extends JobName>(name: N, { id, workspaceId, payload, storedAtMs }: OneJob, tools: Tools) {
  const parsed = jobs[name].parse(payload) as JobPayload<N>;
  return handlers[name](parsed, { id, workspaceId, storedAt: new Date(storedAtMs) }, tools);
}

const isJobName = (name: string): name is JobName => Object.hasOwn(jobs, name);
