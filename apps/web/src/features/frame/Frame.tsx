import type { ReactNode } from "react";
import { ThemeToggle } from "../../ui/theme.tsx";
import { AttackBar } from "./AttackBar.tsx";
import { JumpMenu } from "./JumpMenu.tsx";
import { LiveState } from "./LiveState.tsx";
import { BottomTabs, Crumbs, Rail } from "./Navigation.tsx";
import { PersonMenu } from "./PersonMenu.tsx";

export type FrameFacts = {
  base: string;
  workspace: string;
  brand: { name: string; logoUrl: string | null };
  person: { name: string; email: string; role: string };
};

/** What stands around every page of a workspace. */
export const Frame = ({ base, workspace, brand, person, children }: FrameFacts & { children: ReactNode }) => (
  <div className="grid min-h-dvh md:grid-cols-[208px_minmax(0,1fr)]">
    <a
      href="#main"
      className="sr-only z-50 rounded-md bg-accent px-3 py-1.5 text-accent-ink focus:not-sr-only focus:absolute focus:top-2 focus:left-2"
    >
      Skip to content
    </a>
    <Rail base={base} workspace={workspace} brand={brand} />
    <div className="flex min-w-0 flex-col">
      <header className="sticky top-0 z-30 flex h-12 items-center gap-3 border-b border-line bg-canvas px-6 text-ink-2 max-md:gap-1 max-md:px-4">
        <Crumbs base={base} />
        <span className="flex-1" />
        <JumpMenu base={base} />
        <LiveState />
        <ThemeToggle />
        <PersonMenu person={person} />
      </header>
      <AttackBar base={base} />
      <main
        id="main"
        tabIndex={-1}
        className="w-full max-w-[1228px] flex-1 p-6 pb-16 outline-none max-md:p-4 max-md:pb-24"
      >
        {children}
      </main>
    </div>
    <BottomTabs base={base} />
  </div>
);
