import { cn } from "../../ui/cn.ts";
import { NODE_STATES, type NodeState } from "./facts.ts";

const SHAPES: Record<NodeState, string> = {
  attacked: "bg-critical ring-2 ring-critical/30",
  protected: "bg-ok opacity-85",
  look: "bg-high rotate-45 scale-85",
  observing: "bg-line-strong",
  silent: "border border-dashed border-ink-3 bg-transparent",
};

/** A node as a square: colour, shape and name of its state. */
export const NodeMark = ({ state, className }: { state: NodeState; className?: string }) => (
  <i aria-hidden="true" className={cn("inline-block size-3.5 shrink-0 rounded-[3px]", SHAPES[state], className)} />
);

export const NodeStateWords = ({ state }: { state: NodeState }) => (
  <span className="inline-flex items-center gap-2 whitespace-nowrap">
    <NodeMark state={state} className="size-2.5" />
    <span className={state === "attacked" ? "text-critical" : state === "look" ? "text-high" : "text-ink-2"}>
      {NODE_STATES[state].words}
    </span>
  </span>
);
