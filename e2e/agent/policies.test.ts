import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Lockout, Policies } from "./policies.ts";

const isRoot = process.getuid?.() === 0;
/** `npm run bench -- policies` tries a thousand. */
const POLICIES = 50;
const CHECKED = 200;

// Namespaces and rules are root's.
describe.skipIf(!isRoot)("under a mixed attack in their own names", () => {
  let policies: Policies;
  beforeAll(async () => {
    policies = await Policies.begin();
    await policies.attack(55);
  });
  afterAll(async () => {
    await policies?.end();
  });

  test("no policy locks out who may never be", async () => {
    const lockouts: Lockout[] = [];
    for (let seed = 1; seed <= POLICIES; seed++) {
      const judged = await policies.judge(seed);
      if (judged.silent.length > 0) lockouts.push(judged);
    }
    expect(lockouts).toEqual([]);
  });

  // One after the other, so that an error names few.
  test("the kernel takes whatever policy the schema takes", async () => {
    for (let first = 1_000; first < 1_000 + CHECKED; first += 10) await policies.check(first, 10);
  });

  // Otherwise the test above would pass without any rule.
  test("an address that is not spared is cut off", async () => {
    expect(await policies.unspared()).toEqual(expect.arrayContaining(["monitoring v4", "monitoring v6"]));
  });
});
