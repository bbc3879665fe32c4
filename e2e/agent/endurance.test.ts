import { type AgentService, startAgentService } from "@flowtriq/fakes/service";
import { Link } from "@flowtriq/lab/link";
import { startMeter } from "@flowtriq/lab/meter";
import { createTopology, type Topology } from "@flowtriq/lab/namespaces";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endure } from "./endurance.ts";

const isRoot = process.getuid?.() === 0;
/** `npm run bench -- endurance` kills it 200 times. */
const KILLS = 10;
/** What a kernel under load may still have had in its hands at the kill, for each. */
const IN_FLIGHT = 20;

// Namespaces and rules are root's.
describe.skipIf(!isRoot)("killed again and again while attacks begin, go on and end", () => {
  let lab: Topology;
  let service: AgentService;
  let link: Link;

  beforeAll(async () => {
    lab = await createTopology({ clients: 0, management: true });
    service = await startAgentService({ mode: "enforce", quietSeconds: 5, leaseSeconds: 15 });
    link = await Link.open(service.url, lab.management!.host);
  });
  afterAll(async () => {
    await lab?.destroy();
    await link?.cut();
    await service?.stop();
  });

  test("no event is lost or told twice, no rule is torn, and nothing passes meanwhile", async () => {
    const meter = await startMeter(lab);
    const { faults, attacks, passedWhileDead } = await endure(lab, meter, service, { url: link.url, kills: KILLS });
    expect(faults).toEqual({ tornRules: [], doubled: [], notBegunOnce: [], notEndedOnce: [], lost: [], unknown: [] });
    expect(attacks).toBeGreaterThan(1);
    expect(passedWhileDead).toBeLessThanOrEqual(IN_FLIGHT * KILLS);
    expect(service.refusals).toEqual([]);
  });
});
