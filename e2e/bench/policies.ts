/**
 * `npm run bench -- policies`: a thousand random policies, all lanes armed, under a mixed attack in the name of those who must never be
 * cut off: administrators, monitoring, BGP neighbours, the service, resolvers and clocks. Exits with 1 at any lock-out. SEED: the first.
 */
import { type Lockout, Policies } from "../agent/policies.ts";
import { needRoot } from "./program.ts";

const POLICIES = Number(process.env.POLICIES ?? 1_000);
const FIRST = Number(process.env.SEED ?? 1);
/** A flood may last a minute at most. */
const ATTACK_SECONDS = 55;

needRoot();
const policies = await Policies.begin();
const lockouts: Lockout[] = [];
const begun = performance.now();
try {
  let attackedUntil = 0;
  for (let seed = FIRST; seed < FIRST + POLICIES; seed++) {
    if (performance.now() > attackedUntil) {
      await policies.attack(ATTACK_SECONDS);
      attackedUntil = performance.now() + (ATTACK_SECONDS - 2) * 1000;
    }
    const judged = await policies.judge(seed);
    if (judged.silent.length > 0) lockouts.push(judged);
    if ((seed - FIRST) % 100 === 99)
      process.stdout.write(`  ${seed - FIRST + 1} policies, ${lockouts.length} lock-outs\n`);
  }
  const cut = await policies.unspared();
  const seconds = (performance.now() - begun) / 1000;
  console.log(`\n${POLICIES} random policies in ${seconds.toFixed(0)} s: ${lockouts.length} lock-outs   bar: 0`);
  console.log(`  datagrams asked again before they were answered: ${policies.repeats}`);
  console.log(`  control, the same attack with nobody spared: cut off ${cut.join(", ") || "nobody"}`);
  for (const { seed, silent } of lockouts.slice(0, 20)) console.log(`  seed ${seed}: ${silent.join(", ")}`);
} finally {
  await policies.end();
}
process.exit(lockouts.length > 0 ? 1 : 0);
