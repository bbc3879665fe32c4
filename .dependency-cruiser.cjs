// The rooms of the house and what each may import. Arrows point one way; a new arrow is a decision, made here.

const PURE = ["protocol", "detection", "flowspec", "mitigation", "billing", "theme"];

/** Workspace packages that a room may import besides itself. */
const ROOMS = {
  "packages/protocol": [],
  "packages/detection": ["protocol"],
  "packages/flowspec": [],
  "packages/mitigation": ["protocol", "flowspec"],
  "packages/billing": [],
  "packages/theme": [],
  "packages/db": ["protocol"],
  "packages/metrics": ["db", "protocol"],
  "packages/services": ["db", "metrics", ...PURE],
  "packages/agent": PURE,
  "apps/web": ["services", ...PURE],
  "apps/ingest": ["services", "metrics", "db", "protocol"],
  "apps/worker": ["services", "metrics", "db", "protocol"],
};

/** npm packages that a pure room, the database room or the agent may import; other rooms are held by what they may not. */
const LIBRARIES = {
  "packages/protocol": ["zod"],
  "packages/detection": ["@noble/hashes"],
  "packages/flowspec": [],
  "packages/mitigation": [],
  "packages/billing": ["zod"],
  "packages/theme": ["zod", "culori"],
  "packages/db": ["drizzle-orm", "postgres", "zod"],
  "packages/metrics": ["drizzle-orm", "postgres"],
  "packages/agent": ["commander", "nanoid", "zod"],
};

/** Tests and build scripts may reach further than the code they stand beside. */
const source = (room) => ({
  path: `^${room}/src/`,
  pathNot: "\\.test\\.tsx?$|^packages/db/src/(test-[a-z]+|testing|factories)\\.ts$",
});
const npm = (names) => `(^|/)node_modules/(${names.join("|")})(/|$)`;

module.exports = {
  forbidden: [
    ...Object.entries(ROOMS).map(([room, allowed]) => ({
      name: `room-${room.split("/")[1]}`,
      comment: `${room} may import ${allowed.join(", ") || "no other room"}.`,
      severity: "error",
      from: source(room),
      to: {
        path: "^(apps|packages|e2e|infra)/",
        pathNot: [`^${room}/`, ...allowed.map((name) => `^packages/${name}/src/`)],
      },
    })),
    ...Object.entries(LIBRARIES).map(([room, allowed]) => ({
      name: `libraries-${room.split("/")[1]}`,
      comment: `${room} may import ${allowed.join(", ") || "nothing"} from npm.`,
      severity: "error",
      from: source(room),
      to: { path: "(^|/)node_modules/", ...(allowed.length > 0 && { pathNot: npm(allowed) }) },
    })),
    {
      name: "pure-rooms-do-no-io",
      comment: "The browser, the server, the agent and a test all use them.",
      severity: "error",
      from: { path: `^packages/(${PURE.join("|")})/src/`, pathNot: "\\.test\\.ts$" },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "bun-in-one-module",
      comment: "Everything that touches Bun stays in the agent's libc module.",
      severity: "error",
      from: { path: "^(apps|packages)/[^/]+/src/", pathNot: "^packages/agent/src/libc\\.ts$|^packages/lab/" },
      to: { path: "^bun(:|$)" },
    },
    {
      name: "web-has-no-sql-and-no-queue",
      severity: "error",
      from: source("apps/web"),
      to: { path: npm(["drizzle-orm", "postgres", "bullmq", "ioredis"]) },
    },
    {
      name: "only-the-worker-knows-the-queue",
      severity: "error",
      from: { path: "^(apps|packages)/[^/]+/src/", pathNot: "^apps/worker/" },
      to: { path: npm(["bullmq"]) },
    },
    {
      name: "components-know-no-product-nouns",
      severity: "error",
      from: { path: "^apps/web/src/ui/" },
      to: { path: "^apps/web/src/(features|server|app)/|^packages/(services|db|detection|mitigation)/" },
    },
    {
      name: "no-cycles",
      severity: "error",
      from: { path: "^(apps|packages)/" },
      // Types may know each other; code must have an order.
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "declared",
      comment: "A package lists what it imports.",
      severity: "error",
      from: { path: "^(apps|packages|e2e)/" },
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown"] },
    },
    {
      name: "exists",
      severity: "error",
      from: { path: "^(apps|packages|e2e)/" },
      to: { couldNotResolve: true, pathNot: "^bun(:|$)" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)(dist|\\.next|\\.turbo)/|\\.css$" },
    tsPreCompilationDeps: true,
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "types", "node", "default"],
      extensions: [".ts", ".tsx", ".mjs", ".js", ".d.mts", ".d.ts", ".json"],
    },
  },
};
