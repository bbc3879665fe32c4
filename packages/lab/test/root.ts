import { test } from "vitest";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn("skipped: the lab's network namespaces need root");

/** For tests that make namespaces. */
export const asRoot = test.skipIf(!isRoot);
