import { type FloodOptions, type FloodResult, prepareFlood } from "@flowtriq/lab/flood";
import { firstDrop, type Meter, timeToFirstDrop } from "@flowtriq/lab/meter";
import type { Topology } from "@flowtriq/lab/namespaces";

/** What one sender reaches beside a meter. */
const SENDER_PPS = 150_000;
/** From telling the senders when to begin until then. */
const LEAD_MS = 50;

/** One flood of as many senders as its rate needs. */
export interface Together {
  firstPacketAt: number;
  result: Promise<{ sent: number; seconds: number; results: FloodResult[] }>;
  /** When the first packet was dropped, after the flood; milliseconds from its first packet. */
  firstDropMs(meter: Meter): Promise<number | undefined>;
}

export async function floodTogether(lab: Topology, { pps, ...options }: FloodOptions): Promise<Together> {
  const senders = pps > SENDER_PPS ? 2 : 1;
  const prepared = await Promise.all(
    Array.from({ length: senders }, (_, seed) =>
      prepareFlood(lab, { ...options, pps: Math.ceil(pps / senders), seed: seed + (options.seed ?? 1) }),
    ),
  );
  const at = Date.now() + LEAD_MS;
  const running = await Promise.all(prepared.map((one) => one.begin(at)));
  const ended = Promise.all(running.map(({ result }) => result));
  // Awaited later, perhaps.
  ended.catch(() => {});
  return {
    firstPacketAt: Math.min(...running.map(({ firstPacketAt }) => firstPacketAt)),
    result: ended.then((results) => ({
      sent: results.reduce((sum, { sent }) => sum + sent, 0),
      seconds: Math.max(...results.map(({ seconds }) => seconds)),
      results,
    })),
    async firstDropMs(meter) {
      const results = await ended;
      // The numbers of a flood's packets tell which was dropped first; with two senders those of both are mixed.
      if (results.length === 1) return (await timeToFirstDrop(results[0]!, meter))?.ms;
      return firstOfAll(results, await meter.order(results[0]!.family));
    },
  };
}

/** The senders begin together and number their packets alike, so a group of the meter's holds those of all; the latest is told. */
function firstOfAll(results: FloodResult[], order: Awaited<ReturnType<Meter["order"]>>): number | undefined {
  const shared = (counts: Map<number, number>) =>
    new Map([...counts].map(([group, count]) => [group, count / results.length]));
  const began = Math.min(...results.map(({ firstPacketAt }) => firstPacketAt));
  const drops = results.flatMap(({ log, firstPacketAt }) => {
    const found = firstDrop(log, shared(order.arrived), shared(order.passed));
    return found ? [firstPacketAt - began + found.ms] : [];
  });
  return drops.length > 0 ? Math.max(...drops) : undefined;
}
