import type { Attack } from "@flowtriq/detection/detect";
import { type MitigationContext, mitigationOf } from "@flowtriq/mitigation/mitigations";
import type { LaneId } from "@flowtriq/protocol/lane";
import { endedUnseen, removed } from "./events.ts";
import type { NewEvent } from "./sink.ts";
import type { OpenAttacks } from "./state.ts";

/** What a successor makes of the attacks that its predecessor left open. */
export type Inheritance = { adopted: Attack[]; withdrawn: string[]; news: NewEvent[] };

/**
 * Attacks whose rules still stand go on under the same ids, so that protection has no gap. So do those that no rule holds up,
 * by hand or because there is none for them: only counting tells whether they are over. The others ended while nobody looked.
 * `leased`: lanes that are armed or watched now; `now` in epoch milliseconds.
 */
export function inherit(
  left: OpenAttacks | undefined,
  leased: LaneId[],
  context: MitigationContext,
  now: number,
): Inheritance {
  if (!left) return { adopted: [], withdrawn: [], news: [] };
  const wasWithdrawn = ({ id }: Attack) => left.withdrawn.includes(id);
  const goesOn = (attack: Attack) =>
    attack.lanes.some((lane) => leased.includes(lane)) ||
    // Whoever stood down was told that the next start begins anew.
    (wasWithdrawn(attack) && !left.stoodDown) ||
    !attack.lanes.some((lane) => mitigationOf(lane, context));
  const adopted = left.attacks.filter(goesOn);
  const over = left.attacks.filter((attack) => !goesOn(attack));
  return {
    adopted,
    withdrawn: left.stoodDown ? [] : adopted.filter(wasWithdrawn).map(({ id }) => id),
    news: over.flatMap((attack) => [
      ...(wasWithdrawn(attack) ? [] : [removed(attack, "expired", now, [])]),
      endedUnseen(attack, now),
    ]),
  };
}
