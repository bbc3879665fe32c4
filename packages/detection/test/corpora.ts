import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, resolve } from "node:path";

const root = resolve(import.meta.dirname, "../../..");

/** Real captures that are not part of the product: see CONTRIBUTING. */
export const corporaDir = resolve(root, process.env.CORPORA_DIR ?? "../shared/corpora");
export const haveCorpora = existsSync(corporaDir);

/** Names and contents of one side's captures; empty where the folder is absent. */
export function corpus(side: "attacks" | "legit"): { name: string; file: () => Uint8Array }[] {
  if (!haveCorpora) return [];
  const folder = resolve(corporaDir, side);
  return readdirSync(folder)
    .filter((name) => name.endsWith(".pcap"))
    .map((name) => ({ name: basename(name, ".pcap"), file: () => readFileSync(resolve(folder, name)) }));
}
