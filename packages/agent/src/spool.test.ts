import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Sink, seal } from "./sink.ts";
import { Spool } from "./spool.ts";

let dir: string;
beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "spool-"));
});
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }));

const warning = (code: string) => seal({ event: "agent.warning", code, message: "m" });
const codes = (spool: Spool) => spool.oldest(100).map((event) => event.event === "agent.warning" && event.code);

test("events outlive a crash, those that were acknowledged do not, and a line that was cut is left out", () => {
  const file = path.join(dir, "spool");
  const spool = new Spool(file);
  const events = ["a", "b", "c"].map(warning);
  for (const event of events) spool.add(event);
  spool.acknowledge([events[0]!.id]);
  fs.appendFileSync(file, '{"event":{"id":"evt_');
  expect(codes(new Spool(file))).toEqual(["b", "c"]);
});

test("an event that waits already is not spooled twice", () => {
  const spool = new Spool(path.join(dir, "spool"));
  const event = warning("a");
  spool.add(event);
  spool.add(event);
  expect(codes(spool)).toEqual(["a"]);
  expect(codes(new Spool(path.join(dir, "spool")))).toEqual(["a"]);
});

test("what a predecessor could not tell is told once: only the events that the file does not hold", () => {
  const file = path.join(dir, "events");
  const [told, untold] = [warning("told"), warning("untold")];
  new Sink({ file }).deliver(told!);
  const spool = new Spool(path.join(dir, "spool"));
  new Sink({ file, spool }).deliverOnce([told!, untold!]);
  const lines = fs.readFileSync(file, "utf8").trim().split("\n");
  expect(lines.map((line) => JSON.parse(line).code)).toEqual(["told", "untold"]);
  // Whether the service has taken the first is not known here; it knows it by its id.
  expect(codes(spool)).toEqual(["told", "untold"]);
});

test("what was spooled last and did not reach the file any more is written there by a successor", () => {
  const file = path.join(dir, "events");
  const told = warning("told");
  const spool = new Spool(path.join(dir, "spool"));
  new Sink({ file, spool }).deliver(told);
  spool.add(warning("untold"));
  new Sink({ file, spool: new Spool(path.join(dir, "spool")) }).deliverOnce([told]);
  const lines = fs.readFileSync(file, "utf8").trim().split("\n");
  expect(lines.map((line) => JSON.parse(line).code)).toEqual(["told", "untold"]);
});

test("a line that a killed agent left half written is cut off before the next one", () => {
  const file = path.join(dir, "events");
  new Sink({ file }).deliver(warning("a"));
  fs.appendFileSync(file, '{"event":"agent.warn');
  new Sink({ file }).deliver(warning("b"));
  const lines = fs.readFileSync(file, "utf8").trim().split("\n");
  expect(lines.map((line) => JSON.parse(line).code)).toEqual(["a", "b"]);
});

test("what is not ours in the file stays, whole or not", () => {
  const file = path.join(dir, "events");
  fs.writeFileSync(file, '{"mode":"enforce"}');
  new Sink({ file }).deliver(warning("a"));
  expect(fs.readFileSync(file, "utf8")).toMatch(/^\{"mode":"enforce"\}\n\{"event":"agent.warning".*\}\n$/);
});

test("after its file was moved away a sink that is told so writes to a new one", () => {
  const file = path.join(dir, "events");
  const sink = new Sink({ file });
  sink.deliver(warning("a"));
  fs.renameSync(file, `${file}.1`);
  sink.deliver(warning("b"));
  sink.reopen();
  sink.deliver(warning("c"));
  expect(fs.readFileSync(`${file}.1`, "utf8")).toMatch(/"a"[\s\S]*"b"/);
  expect(fs.readFileSync(file, "utf8")).toMatch(/^[^\n]*"c"[^\n]*\n$/);
});
