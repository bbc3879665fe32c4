"use client";
import type { ReactNode } from "react";
import { Failed, NoPermission } from "./States.tsx";

type Query<T> = {
  data: T | undefined;
  error: { message: string; data?: { code?: string } | null } | null;
  refetch: () => unknown;
};

/** A query in its four states. Data that was there stays on screen when a refetch fails. */
export function Loaded<T>({
  query,
  what,
  skeleton,
  children,
}: {
  query: Query<T>;
  what: string;
  skeleton: ReactNode;
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) return children(query.data);
  if (query.error?.data?.code === "FORBIDDEN")
    return <NoPermission what={what.toLowerCase()} who="An owner or admin of the workspace" />;
  if (query.error) return <Failed what={what} retry={() => void query.refetch()} />;
  return skeleton;
}
