import type { ReactNode } from "react";
import { Button } from "./Button.tsx";

const Frame = ({
  title,
  children,
  actions,
  alert,
}: {
  title: string;
  children: ReactNode;
  actions?: ReactNode;
  alert?: boolean;
}) => (
  <div role={alert ? "alert" : undefined} className="border-y border-line py-8">
    <p className="font-[600]">{title}</p>
    <div className="mt-1 max-w-[64ch] text-ink-2">{children}</div>
    {actions && <div className="mt-4 flex gap-2">{actions}</div>}
  </div>
);

/** Nothing here yet: what this is, and how to get the first one. */
export const Empty = (props: { title: string; children: ReactNode; actions?: ReactNode }) => <Frame {...props} />;

/** What failed, and what still works. */
export const Failed = ({ what, children, retry }: { what: string; children?: ReactNode; retry?: () => void }) => (
  <Frame alert title={`${what} could not be loaded`} actions={retry && <Button onClick={retry}>Try again</Button>}>
    {children ?? "The nodes go on protecting by themselves; only this view is affected."}
  </Frame>
);

export const NoPermission = ({ what, who }: { what: string; who: string }) => (
  <Frame title={`You may not see ${what}`}>Your role does not include it. {who} can change that.</Frame>
);

/** Rows in the shape of what comes. */
export const SkeletonRows = ({ rows = 6, label }: { rows?: number; label: string }) => (
  <div role="status" aria-label={label} className="border-t border-line">
    {Array.from({ length: rows }, (_, row) => (
      // biome-ignore lint/suspicious/noArrayIndexKey: rows of a skeleton have no identity
      <div key={row} className="flex h-[37px] items-center gap-6 border-b border-line">
        <div className="skeleton h-3 w-2/5" />
        <div className="skeleton ml-auto h-3 w-16" />
        <div className="skeleton h-3 w-12 max-md:hidden" />
        <div className="skeleton h-3 w-12 max-md:hidden" />
      </div>
    ))}
  </div>
);

export const SkeletonBlock = ({ height, label }: { height: number; label: string }) => (
  <div role="status" aria-label={label} className="skeleton" style={{ height }} />
);
