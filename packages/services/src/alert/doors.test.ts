import { expect, test } from "vitest";
import { openDoors } from "./doors.ts";

const never = () => new Promise<string>(() => {});
const fine = () => false;

test("a burst to a quick receiver passes whole, never more than eight at once", async () => {
  const doors = openDoors({ patienceMs: 30_000 });
  let inside = 0;
  let most = 0;
  const results = await Promise.all(
    Array.from({ length: 200 }, () =>
      doors.through(
        "a",
        async () => {
          most = Math.max(most, ++inside);
          await new Promise(setImmediate);
          inside -= 1;
          return "sent";
        },
        fine,
      ),
    ),
  );
  expect(results).toEqual(Array(200).fill("sent"));
  expect(most).toBe(8);
});

test("a receiver that never answers fills its own places and nobody else's", async () => {
  const doors = openDoors();
  for (let n = 0; n < 8; n++) void doors.through("stuck", never, fine);
  const [turnedAway, other] = await Promise.all([
    doors.through("stuck", never, fine),
    doors.through("other", async () => "sent", fine),
  ]);
  expect([turnedAway, other]).toEqual([undefined, "sent"]);
});

test("a receiver that fails slowly is asked less and less often, until it answers", async () => {
  let clock = 0;
  const doors = openDoors({ now: () => clock });
  const slowly = async () => {
    clock += 10_000;
    return "timeout";
  };
  const attempt = () => doors.through("a", slowly, (result) => result === "timeout");
  for (const pauseMs of [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
    expect(await attempt()).toBe("timeout");
    clock += pauseMs - 1;
    expect(await attempt()).toBeUndefined();
    expect(doors.turnedAwayMs("a")).toBeGreaterThanOrEqual(500);
    clock += 1;
  }
  expect(await doors.through("a", async () => "sent", fine)).toBe("sent");
  expect(await attempt()).toBe("timeout");
  clock += 2_000;
  expect(await attempt()).toBe("timeout");
});

test("a send that throws gives its place back", async () => {
  const doors = openDoors();
  const broken = () => doors.through("a", () => Promise.reject(new Error("broken")), fine);
  for (let n = 0; n < 20; n++) await expect(broken()).rejects.toThrow("broken");
  expect(await doors.through("a", async () => "sent", fine)).toBe("sent");
});
