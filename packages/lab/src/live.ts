import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { bunPath } from "./flood.ts";
import { LiveAnswer, type LiveCommand, type LiveRequest } from "./live/request.ts";
import { start } from "./namespaces.ts";

export type { Conversation, LiveAnswer, LiveRequest } from "./live/request.ts";

/** A machine that talks and answers: a process in a namespace. */
export interface Live {
  /** Opens the standing conversations; call it when every machine stands. */
  connect(): Promise<void>;
  /** Says something new in each conversation, or in those named. `silent` were not answered. */
  round(only?: string[]): Promise<LiveAnswer>;
  stop(): void;
}

/** Resolves when the machine's ports listen. */
export async function startLive(namespace: string, request: LiveRequest): Promise<Live> {
  const main = fileURLToPath(new URL("./live/main.ts", import.meta.url));
  const child = start(namespace, [bunPath(), main, JSON.stringify(request)], { stdio: "pipe" });
  child.stdin?.on("error", () => {});
  let problem = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    problem = (problem + text).slice(-2000);
  });
  const lines = createInterface({ input: child.stdout! });
  const answer = () =>
    new Promise<LiveAnswer>((resolve, reject) => {
      const ended = () => reject(new Error(`a live machine in ${namespace} ended: ${problem.trim()}`));
      child.once("close", ended);
      lines.once("line", (line) => {
        child.off("close", ended);
        resolve(LiveAnswer.parse(JSON.parse(line)));
      });
    });
  const tell = (command: LiveCommand) => {
    const told = answer();
    child.stdin?.write(`${JSON.stringify(command)}\n`);
    return told;
  };
  await answer();
  return {
    async connect() {
      await tell({ command: "connect" });
    },
    round: (only) => tell({ command: "round", ...(only ? { only } : {}) }),
    stop() {
      child.stdin?.end();
    },
  };
}
