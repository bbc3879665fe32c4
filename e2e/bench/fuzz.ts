/**
 * `npm run bench -- fuzz`: a million random and mutated packets, and hostile captures, configurations, policies, daemons' answers and
 * commands, through the code that reads them. CASES, SEED. Any broken promise ends it with the seed and an error.
 */
import { heapBytes } from "../../packages/agent/test/fuzz/material.ts";
import { fuzzCaptures, PacketFuzz } from "../../packages/agent/test/fuzz/packets.ts";
import { fuzzConfigurations, fuzzControl, fuzzTunnels } from "../../packages/agent/test/fuzz/texts.ts";

const CASES = Number(process.env.CASES ?? 1_000_000);
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);
const ROUNDS = 10;
const MB = 1 << 20;

console.log(`fuzz: seed ${SEED}\n`);
const fuzz = new PacketFuzz(SEED);
const heaps: number[] = [];
for (let round = 1; round <= ROUNDS; round++) {
  const begun = performance.now();
  fuzz.run(Math.ceil(CASES / ROUNDS));
  heaps.push(heapBytes() / MB);
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  console.log(
    `  ${(CASES / ROUNDS) * round} packets, ${seconds} s for the last tenth, heap ${heaps.at(-1)!.toFixed(1)} MB`,
  );
}
const { packets, attacks, classified } = fuzz.seen;
console.log(`  read as packets ${packets}, changes of attacks ${attacks}, classified ${classified}`);
console.log(
  `  heap after the first and last tenth: ${heaps[0]!.toFixed(1)} and ${heaps.at(-1)!.toFixed(1)} MB   bar: no growth`,
);
const some = (share: number) => Math.ceil(CASES * share);
console.log("captures", fuzzCaptures(SEED, some(0.02)));
console.log("configurations", fuzzConfigurations(SEED, some(0.005)));
console.log("daemons' answers", fuzzTunnels(SEED, some(0.05)));
console.log("commands", await fuzzControl(SEED, some(0.01)));
