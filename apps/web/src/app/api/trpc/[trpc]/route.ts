import { fetchRequestHandler } from "@trpc/server/adapters/fetch";
import { appRouter } from "../../../../server/router.ts";
import { createContext } from "../../../../server/trpc.ts";

const handle = (req: Request) =>
  fetchRequestHandler({
    endpoint: "/api/trpc",
    req,
    router: appRouter,
    createContext,
    onError: ({ error, path }) => error.code === "INTERNAL_SERVER_ERROR" && console.error(path, error.cause ?? error),
    responseMeta: () => ({ headers: { "cache-control": "no-store" } }),
  });

export { handle as GET, handle as POST };
