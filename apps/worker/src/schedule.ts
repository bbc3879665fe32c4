import { database } from "@flowtriq/db/client";
import type { Logger } from "@flowtriq/services/log";
import { giveUp } from "./outbox.ts";

interface Routine {
  name: string;
  everySeconds: number;
  run(log: Logger): Promise<void>;
}

/** What is done by the clock. Several workers may run: one of them does it each time. */
const ROUTINES: readonly Routine[] = [
  {
    name: "outbox.cleaning",
    everySeconds: 3_600,
    run: async (log) => {
      for (const { id, job } of await giveUp()) log.error({ id, job }, "given up: not done within a week");
    },
  },
];

export interface Schedule {
  stop(): Promise<void>;
}

export function startSchedule(log: Logger, routines: readonly Routine[] = ROUTINES): Schedule {
  const underWay = new Set<Promise<void>>();
  const timers = routines.map((routine) => {
    const due = () => {
      const turn = takeTurn(routine, log).catch((error: unknown) =>
        log.error({ err: error, routine: routine.name }, "routine failed"),
      );
      underWay.add(turn);
      void turn.finally(() => underWay.delete(turn));
    };
    due();
    return setInterval(due, routine.everySeconds * 1_000);
  });
  return {
    stop: async () => {
      for (const timer of timers) clearInterval(timer);
      await Promise.all(underWay);
    },
  };
}

/** Skips the turn while another worker has it. */
async function takeTurn({ name, run }: Routine, log: Logger): Promise<void> {
  await database().raw.system.begin(async (tx) => {
    const [lock] = await tx<
      { mine: boolean }[]
    >`select pg_try_advisory_xact_lock(hashtext('schedule'), hashtext(${name})) as mine`;
    if (lock?.mine) await run(log);
  });
}
