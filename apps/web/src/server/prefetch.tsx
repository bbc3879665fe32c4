import {
  dehydrate,
  type FetchQueryOptions,
  HydrationBoundary,
  QueryClient,
  type QueryKey,
} from "@tanstack/react-query";
import { createTRPCOptionsProxy } from "@trpc/tanstack-react-query";
import { cache, type ReactNode } from "react";
import { appRouter } from "./router.ts";
import { createContext } from "./trpc.ts";

const clientOf = cache(() => new QueryClient());

/** The dashboard's door for pages. */
export const door = cache(() =>
  createTRPCOptionsProxy({ ctx: createContext, router: appRouter, queryClient: clientOf }),
);

/** Asks on the server: the answer is in the first HTML, and the browser does not ask again. */
export const prefetch = <Q, E, D, K extends QueryKey>(query: FetchQueryOptions<Q, E, D, K>): Promise<void> =>
  clientOf().prefetchQuery(query);

/** Renders `children` with what was asked. A question that failed is left for the browser to ask, and to show why. */
export async function Prefetched({ asked, children }: { asked: readonly Promise<void>[]; children: ReactNode }) {
  await Promise.all(asked);
  return <HydrationBoundary state={dehydrate(clientOf())}>{children}</HydrationBoundary>;
}
