/**
 * `npm run bench -- endurance`: 200 times kill -9 while attacks begin, go on and end, with a successor after each. What is held against
 * the bar is what the service and the events file hold in the end: every event once.
 */
import { startAgentService } from "@flowtriq/fakes/service";
import { Link } from "@flowtriq/lab/link";
import { startMeter } from "@flowtriq/lab/meter";
import { createTopology } from "@flowtriq/lab/namespaces";
import { endure } from "../agent/endurance.ts";
import { one } from "./figures.ts";

const KILLS = Number(process.env.KILLS ?? 200);
const SHOW_EVERY = 10;

const undo: (() => unknown)[] = [];

if (process.getuid?.() !== 0) {
  console.error("This needs root: network namespaces and rules.");
  process.exit(1);
}
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => void cleanUp().then(() => process.exit(130)));
let sound = false;
try {
  sound = await bench();
} finally {
  await cleanUp();
}
process.exit(sound ? 0 : 1);

async function cleanUp(): Promise<void> {
  for (const end of undo.splice(0).reverse()) await Promise.resolve(end()).catch(() => {});
}

async function bench(): Promise<boolean> {
  const lab = await createTopology({ clients: 0, management: true });
  undo.push(() => lab.destroy());
  const service = await startAgentService({ mode: "enforce", quietSeconds: 5, leaseSeconds: 15 });
  undo.push(() => service.stop());
  const link = await Link.open(service.url, lab.management!.host);
  undo.push(() => link.cut());
  const meter = await startMeter(lab);
  console.log(`\nendurance: ${KILLS} times kill -9 under attack\n`);
  const from = performance.now();
  const onKill = (kill: number) => {
    if (kill % SHOW_EVERY === 0) console.log(`  ${kill} kills, ${((performance.now() - from) / 1000).toFixed(0)} s`);
  };
  const { kills, attacks, events, passedWhileDead, faults } = await endure(lab, meter, service, {
    url: link.url,
    kills: KILLS,
    onKill,
  });
  const lines = [
    ["events lost", faults.lost],
    ["events told twice", faults.doubled],
    ["events of nobody", faults.unknown],
    ["attacks without exactly one beginning", faults.notBegunOnce],
    ["attacks without exactly one end", faults.notEndedOnce],
    ["kills after which the rules were torn", faults.tornRules],
  ] as const;
  console.log(
    [
      "",
      one("kills, attacks, events", `${kills}, ${attacks}, ${events}`, "200 kills"),
      ...lines.map(([name, found]) => one(name, String(found.length), "0")),
      one("attack packets passed while nobody watched", String(passedWhileDead), "0 but for those in flight"),
      ...lines.flatMap(([name, found]) => found.map((what) => `  ${name}: ${what}`)),
    ].join("\n"),
  );
  return lines.every(([, found]) => found.length === 0);
}
