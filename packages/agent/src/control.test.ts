import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { askAgent, type Command, serveControl } from "./control.ts";

let dir: string;
let served: { close: () => void };
let obeyed: Command[];
const socket = () => path.join(dir, "control.sock");

beforeEach(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "control-"));
  obeyed = [];
  served = serveControl(socket(), (command) => obeyed.push(command));
  // It listens within the next turns of the loop.
  while (!fs.existsSync(socket())) await new Promise((resolve) => setImmediate(resolve));
});
afterEach(() => {
  served.close();
  fs.rmSync(dir, { recursive: true, force: true });
});

const say = (line: string) =>
  new Promise<string>((resolve) => {
    let heard = "";
    const client = net.createConnection(socket(), () => client.write(line));
    client.setEncoding("utf8").on("data", (text) => {
      heard += text;
    });
    client.on("error", () => {});
    client.on("close", () => resolve(heard));
  });

test("a command is obeyed and answered", async () => {
  expect(await askAgent(socket(), { command: "withdraw", attack: "atk_1" })).toEqual({ ok: 1 });
  expect(obeyed).toEqual([{ command: "withdraw", attack: "atk_1" }]);
});

test("a line that is too long is hung up on, whatever it holds", async () => {
  expect(await say(`${" ".repeat(5_000)}{"command":"withdraw-all"}\n`)).toBe("");
  expect(obeyed).toEqual([]);
});

test("what is no command is not obeyed", async () => {
  expect(JSON.parse(await say('{"command":"withdraw"}\n'))).toEqual({ error: "not a command" });
  expect(JSON.parse(await say("null\n"))).toEqual({ error: "not a command" });
  expect(obeyed).toEqual([]);
});
