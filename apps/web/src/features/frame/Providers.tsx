"use client";
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createTRPCClient, httpBatchLink } from "@trpc/client";
import { NuqsAdapter } from "nuqs/adapters/next/app";
import { type ReactNode, useState } from "react";
import superjson from "superjson";
import type { AppRouter } from "../../server/router.ts";
import { TRPCProvider } from "../../trpc.ts";

const REFUSALS = new Set(["UNAUTHORIZED", "FORBIDDEN", "NOT_FOUND", "BAD_REQUEST", "CONFLICT"]);

const newQueryClient = () =>
  new QueryClient({
    queryCache: new QueryCache({ onError: signInAgain }),
    mutationCache: new MutationCache({ onError: signInAgain }),
    defaultOptions: {
      queries: {
        // The live stream says when something is new; this is for what it could not say.
        staleTime: 10_000,
        refetchInterval: 60_000,
        retry: (failures, error) => failures < 2 && !REFUSALS.has(codeOf(error)),
      },
    },
  });

const codeOf = (error: unknown): string => (error as { data?: { code?: string } | null } | null)?.data?.code ?? "";

/** A session that has ended: back to the door, and from there to this page. */
function signInAgain(error: unknown) {
  if (codeOf(error) === "UNAUTHORIZED")
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
}

let ofTab: QueryClient | undefined;
function clientOfTab(): QueryClient {
  ofTab ??= newQueryClient();
  return ofTab;
}

export function Providers({ children }: { children: ReactNode }) {
  // On the server every request has its own; in the browser one lives as long as the tab.
  const [queryClient] = useState(() => (typeof window === "undefined" ? newQueryClient() : clientOfTab()));
  const [client] = useState(() =>
    createTRPCClient<AppRouter>({ links: [httpBatchLink({ url: "/api/trpc", transformer: superjson })] }),
  );
  return (
    <QueryClientProvider client={queryClient}>
      <TRPCProvider trpcClient={client} queryClient={queryClient}>
        <NuqsAdapter>{children}</NuqsAdapter>
      </TRPCProvider>
    </QueryClientProvider>
  );
}
