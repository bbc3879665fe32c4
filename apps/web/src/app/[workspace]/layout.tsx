import { headers } from "next/headers";
import { notFound, redirect } from "next/navigation";
import type { ReactNode } from "react";
import { env } from "../../env.ts";
import { Frame } from "../../features/frame/Frame.tsx";
import { Providers } from "../../features/frame/Providers.tsx";
import { LiveProvider } from "../../features/live/Live.tsx";
import { currentBrand } from "../../server/brand.ts";
import { currentSession } from "../../server/session.ts";

export default async function WorkspaceLayout({
  children,
  params,
}: {
  children: ReactNode;
  params: Promise<{ workspace: string }>;
}) {
  const [{ workspace }, session, brand] = await Promise.all([params, currentSession(), currentBrand()]);
  if (!session) redirect(`/sign-in?next=${encodeURIComponent((await headers()).get("x-path") ?? `/${workspace}`)}`);
  if (workspace !== session.slug) notFound();
  return (
    <Providers>
      <LiveProvider url={env().LIVE_URL}>
        <Frame
          base={`/${session.slug}`}
          workspace={session.workspaceName}
          brand={brand}
          person={{ name: session.name, email: session.email, role: session.role }}
        >
          {children}
        </Frame>
      </LiveProvider>
    </Providers>
  );
}
