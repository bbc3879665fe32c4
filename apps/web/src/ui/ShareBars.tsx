import { cn } from "./cn.ts";
import { percent } from "./format.ts";
import { Section } from "./Page.tsx";

/** Shares of a whole, largest first; what the list leaves out is the last line. */
export function ShareBars({
  title,
  shares,
  mono,
}: {
  title: string;
  shares: readonly { key: string; share: number }[];
  mono?: boolean;
}) {
  const rest = 1 - shares.reduce((sum, { share }) => sum + share, 0);
  const rows = rest > 0.005 && shares.length > 0 ? [...shares, { key: "other", share: rest }] : shares;
  return (
    <Section title={title} className="mt-0">
      {rows.length === 0 && <p className="text-xs text-ink-3">No samples yet.</p>}
      <dl>
        {rows.map(({ key, share }) => (
          <div
            key={key}
            className={cn(
              "grid items-center gap-2 text-xs leading-[22px] text-ink-2",
              mono ? "grid-cols-[116px_1fr_48px]" : "grid-cols-[84px_1fr_48px]",
            )}
          >
            <dt className={mono ? "code truncate" : "truncate"} title={key}>
              {key}
            </dt>
            <dd className="contents">
              <span aria-hidden="true">
                <i
                  className="block h-2 rounded-[2px] bg-data-drop"
                  style={{ width: `${Math.max(1, Math.min(100, share * 100))}%` }}
                />
              </span>
              <span className="num text-right">{percent(share)}</span>
            </dd>
          </div>
        ))}
      </dl>
    </Section>
  );
}
