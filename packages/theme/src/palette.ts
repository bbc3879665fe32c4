/** The fixed colours of both themes. Text colours hold 4.5:1 on every surface they stand on; a test says so. */
export const PALETTE = {
  light: {
    canvas: "#f7f7f5",
    surface: "#ffffff",
    sunken: "#f0f0ed",
    line: "#e4e4df",
    "line-strong": "#cfcfc8",
    ink: "#1a1b1e",
    "ink-2": "#55575e",
    "ink-3": "#686a71",
    critical: "#b9231a",
    "critical-soft": "#fdecea",
    high: "#9a4d00",
    "high-soft": "#fff1e0",
    ok: "#0f7449",
    "ok-soft": "#e5f5ed",
    "data-in": "#b9bac1",
    "data-drop": "#d9534a",
    "data-pass": "#2f5bea",
    "data-4": "#0f8f83",
    "data-5": "#8a5bd6",
  },
  dark: {
    canvas: "#101114",
    surface: "#17181c",
    sunken: "#1d1e23",
    line: "#2a2b31",
    "line-strong": "#3b3d45",
    ink: "#ececef",
    "ink-2": "#a9abb4",
    "ink-3": "#8f919b",
    critical: "#ff7b70",
    "critical-soft": "#3a1a18",
    high: "#f0a35a",
    "high-soft": "#35240f",
    ok: "#4fc990",
    "ok-soft": "#10301f",
    "data-in": "#5b5e69",
    "data-drop": "#e0685f",
    "data-pass": "#7d9bff",
    "data-4": "#3fc0b3",
    "data-5": "#b08bf0",
  },
} as const;

export type Scheme = keyof typeof PALETTE;

/** Surfaces that carry text. */
export const SURFACES = ["canvas", "surface", "sunken"] as const;
