/**
 * `npm run bench -- classify`: what attacks are called. Every attack capture of the corpus (CORPORA_DIR) by its INDEX's label, its
 * legitimate captures, and generated attacks of every vector whose parameters were not used in tuning. Captures and tools go the
 * node's way, as in `ftagent replay`: counted by lanes, sampled by trips, judged with the course of the counters. SEEDS (2) runs of
 * each tool, CASES (1500) generated cases. Exits with 1 where a bar is missed.
 */
import type { Attack } from "@flowtriq/detection/detect";
import { plan } from "@flowtriq/mitigation/plan";
import type { LaneId } from "@flowtriq/protocol/lane";
import { DEFAULT_POLICY } from "@flowtriq/protocol/policy";
import { corporaDir, corpus, haveCorpora, labelled } from "../../packages/detection/test/corpora.ts";
import { atPace, judged, packetsOf, USUAL_PORTS } from "../../packages/detection/test/judged.ts";
import { answerOf, outcomes } from "../../packages/detection/test/score.ts";
import { judgedRun, runs } from "../../packages/detection/test/tools/runs.ts";
import { type Named, namedBy, said, sums, table } from "./answers.ts";

const SEEDS = Number(process.env.SEEDS ?? 2);
const CASES = Number(process.env.CASES ?? 1_500);
/** No seed of the generator that anybody has looked at: tests begin at 1, calibration at 1 and at 1,000,001. */
const FIRST_SEED = 3_000_001;
/** A capture that stays below every threshold at its own pace is played again at so many packets a second. */
const FLOOD_PPS = 50_000;

const armed = (attacks: Attack[]): readonly LaneId[] =>
  plan(
    { ...DEFAULT_POLICY, mode: "enforce" },
    attacks.map(({ id, verdict, lanes }) => ({ id, verdict, lanes, withdrawn: false })),
    { ports: USUAL_PORTS, conntrack: false },
  ).armed;

if (!haveCorpora) console.log(`No captures in ${corporaDir} (CORPORA_DIR): only generated attacks are measured.\n`);
const { attacks, unnamed } = attackCaptures();
const legitimate = corpus("legit").map(({ name, file }): Named => {
  const packets = packetsOf(file());
  return namedBy(name, "legitimate", judged(packets, { ports: USUAL_PORTS, armed }));
});
const tools: Named[] = [];
for (const run of runs("sealed", SEEDS))
  tools.push(namedBy(`${run.vector}: ${run.name}`, run.vector, judgedRun(run, { armed })));
const cases = [...outcomes("held-out", CASES, FIRST_SEED)].map(answerOf);

const real = [...attacks, ...legitimate];
const generated = [...tools.map(({ live }) => live), ...cases];
const live = (list: readonly Named[]) => list.map(({ live }) => live);
const sets = { corpus: live(real), generated, both: [...live(real), ...generated] };

console.log(`Captures of the corpus: ${attacks.length + unnamed.length} attacks, ${legitimate.length} legitimate.`);
console.log(
  "  Weights and confidence were fitted on generated traffic alone; but what these attacks look like was known, and tests hold them.",
);
for (const { name, slow, live, whole } of attacks) {
  console.log(
    `  ${name.padEnd(42)} ${said(live).padEnd(34)} all that arrived: ${said(whole)}${slow ? "   (below every threshold at its own pace)" : ""}`,
  );
}
for (const { name, label } of unnamed)
  console.log(`  ${name.padEnd(42)} no vector of ours for its label: ${label || "none"}`);
const wrongly = legitimate.filter(({ live, whole }) => live.found !== "legitimate" || whole.found !== "legitimate");
console.log(`  legitimate captures called an attack: ${wrongly.length} of ${legitimate.length}   bar: 0`);
console.log(
  `\nGenerated: ${tools.length} runs of tools (test/tools, "sealed" parameters, told as sums only; "tried" ones were looked at one by one), the node's way;`,
);
console.log(
  `  ${cases.length} cases of the held-out half of test/world.ts (weights and confidence were fitted on the other half), by classify alone.`,
);
console.log(`\n${table(sets)}\n`);
const wrong = [...real, ...tools].filter(({ live, whole }) =>
  [live, whole].some(({ expected, found }) => expected !== found),
);
console.log(wrong.length === 0 ? "No capture and no tool is misnamed." : "Misnamed captures and tools:");
for (const { name, live, whole } of wrong)
  console.log(`  ${name.padEnd(64)} ${said(live).padEnd(34)} all that arrived: ${said(whole)}`);
console.log("");
const rest = { "corpus, all that arrived": real, "tools, all that arrived": tools };
const apart = {
  tools: live(tools),
  cases,
  ...Object.fromEntries(Object.entries(rest).map(([name, list]) => [name, list.map(({ whole }) => whole)])),
};
const { lines, missed } = sums({ ...sets, ...apart });
console.log(lines.join("\n"));
process.exit(missed || wrongly.length > 0 ? 1 : 0);

function attackCaptures() {
  const attacks: (Named & { slow: boolean })[] = [];
  const unnamed: { name: string; label: string }[] = [];
  for (const { name, label, vector, file } of labelled()) {
    if (!vector) {
      unnamed.push({ name, label });
      continue;
    }
    const packets = packetsOf(file());
    const own = judged(packets, { ports: USUAL_PORTS, armed });
    const slow = own.live === undefined;
    const answer = slow
      ? { ...own, live: judged(atPace(packets, FLOOD_PPS), { ports: USUAL_PORTS, armed }).live }
      : own;
    attacks.push({ ...namedBy(name, vector, answer), slow });
  }
  return { attacks, unnamed };
}
