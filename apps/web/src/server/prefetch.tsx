import { dehydrate, HydrationBoundary, QueryClient } from "@tanstack/react-query";
import { createTRPCOptionsProxy } from "@trpc/tanstack-react-query";
import { cache, type ReactNode } from "react";
import { appRouter } from "./router.ts";
import { createContext } from "./trpc.ts";

const clientOf = cache(() => new QueryClient());

/** The dashboard's door for pages: what they ask here is in the first HTML, and the browser does not ask again. */
export const trpcOf = cache(() =>
  createTRPCOptionsProxy({ ctx: createContext, router: appRouter, queryClient: clientOf }),
);

type Wanted = Parameters<QueryClient["prefetchQuery"]>[0];

/** Renders `children` with these queries answered. One that fails is left for the browser to ask, and to show why. */
export async function Prefetched({ queries, children }: { queries: readonly Wanted[]; children: ReactNode }) {
  const client = new QueryClient();
  await Promise.all(queries.map((query) => client.prefetchQuery(query)));
  return <HydrationBoundary state={dehydrate(client)}>{children}</HydrationBoundary>;
}
